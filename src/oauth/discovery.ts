import {
  type AuthorizationServer,
  allowInsecureRequests,
  customFetch,
  discoveryRequest,
  processDiscoveryResponse,
} from "oauth4webapi";
import { isLoopback } from "../loopback.js";
import type { Clock } from "../steady-clock.js";
import { AuthClientError } from "./auth-client-error.js";
import { type Answer, type Fetch, fetchAnswer, toError } from "./limited-fetch.js";

/** Where an authorization server is found. */
export interface DiscoveryOptions {
  readonly issuer: string;
  /** The token endpoint. Default: what the metadata of the issuer say. */
  readonly tokenEndpoint: string | undefined;
  readonly fetch: Fetch;
  readonly now: () => Date;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** The token endpoint of an issuer that publishes no metadata, from its URL. */
const defaultTokenPath = "/api/v1/auth/oauth/token";

/** Metadata are asked for again after an hour. */
const metadataLifetimeMs = 3_600_000;

/**
 * Makes the function that returns the metadata of an authorization server
 * (RFC 8414), fetched once an hour: a failure then leaves the old ones in place.
 * Where there is neither that document nor the one of OpenID Connect (404), the
 * token endpoint is at its default path.
 */
export function createDiscovery(options: DiscoveryOptions): () => Promise<AuthorizationServer> {
  const { tokenEndpoint, fetch, now, clock, timeoutMs } = options;
  const issuer = checkUrl("issuer", options.issuer);
  if (issuer.search || issuer.hash) {
    throw new TypeError("issuer must have no query and no fragment (RFC 8414 §2)");
  }
  if (tokenEndpoint !== undefined) {
    const given = {
      issuer: options.issuer,
      token_endpoint: checkUrl("tokenEndpoint", tokenEndpoint).href,
    };
    return async () => given;
  }

  const ask = async (algorithm: "oauth2" | "oidc"): Promise<AuthorizationServer | undefined> => {
    let answer: Answer | undefined;
    await discoveryRequest(issuer, {
      algorithm,
      signal: AbortSignal.timeout(timeoutMs),
      // loopback, or it would not have passed above
      [allowInsecureRequests]: issuer.protocol === "http:",
      [customFetch]: async (url, init) => {
        answer = await fetchAnswer(fetch, url, { ...init, body: null });
        return new Response();
      },
    });
    if (!answer || answer.status === 404) {
      return undefined;
    }
    const { ok, text } = answer;
    if (!ok) {
      throw toError(`the metadata of ${issuer.href}`, answer, now());
    }
    const response = new Response(text, { headers: { "content-type": "application/json" } });
    const metadata = await processDiscoveryResponse(issuer, response).catch((error: unknown) => {
      throw Object(error).code === "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED"
        ? new AuthClientError("issuer_mismatch", `the metadata are not those of ${issuer.href}`)
        : new AuthClientError("invalid_response", `no metadata of ${issuer.href} in the answer`);
    });
    const { token_endpoint, mtls_endpoint_aliases: aliases } = metadata;
    for (const endpoint of [token_endpoint, aliases?.token_endpoint ?? token_endpoint]) {
      if (!URL.canParse(endpoint ?? "")) {
        throw new AuthClientError(
          "invalid_response",
          `the metadata of ${issuer.href} name no token endpoint`,
        );
      }
      if (!isSecure(endpoint ?? "")) {
        throw new AuthClientError(
          "insecure_endpoint",
          `the metadata of ${issuer.href} name a token endpoint without https`,
        );
      }
    }
    return metadata;
  };

  const discover = async () =>
    (await ask("oauth2")) ??
    (await ask("oidc")) ?? {
      issuer: options.issuer,
      token_endpoint: issuer.href.replace(/\/$/, "") + defaultTokenPath,
    };

  let found: { readonly metadata: AuthorizationServer; readonly until: number } | undefined;
  let running: Promise<AuthorizationServer> | undefined;
  const refresh = async () => {
    try {
      const metadata = await discover();
      found = { metadata, until: clock() + metadataLifetimeMs };
      return metadata;
    } catch (error) {
      if (!found) {
        throw error;
      }
      found = { ...found, until: clock() + metadataLifetimeMs / 60 };
      return found.metadata;
    } finally {
      running = undefined;
    }
  };
  return async () => {
    if (found && clock() < found.until) {
      return found.metadata;
    }
    running ??= refresh();
    // the old ones do meanwhile: a server that hangs costs no call its time
    return found?.metadata ?? running;
  };
}

/** Throws `TypeError` for what is neither an https URL nor on loopback, and for a password in it. */
function checkUrl(option: string, url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.username || parsed?.password) {
    throw new TypeError(`${option} must have no user name and no password`);
  }
  if (!parsed || !isSecure(url)) {
    throw new TypeError(`${option} ${JSON.stringify(url)} must be an https URL`);
  }
  return parsed;
}

function isSecure(url: string): boolean {
  const parsed = new URL(url);
  return parsed.protocol === "https:" || (parsed.protocol === "http:" && isLoopback(parsed));
}
