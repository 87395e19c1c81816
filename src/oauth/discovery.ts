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
    const { status, text } = answer;
    if (status !== 200) {
      throw toError(`the metadata of ${issuer.href}`, answer, now());
    }
    const response = new Response(text, { headers: { "content-type": "application/json" } });
    const metadata = await processDiscoveryResponse(issuer, response).catch((error: unknown) => {
      throw Object(error).code === "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED"
        ? new AuthClientError("issuer_mismatch", `the metadata are not those of ${issuer.href}`)
        : new AuthClientError("invalid_response", `no metadata of ${issuer.href} in the answer`);
    });
    for (const endpoint of [
      metadata.token_endpoint,
      metadata.mtls_endpoint_aliases?.token_endpoint,
    ]) {
      if (endpoint !== undefined && !isSecure(endpoint)) {
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
    return running;
  };
}

/** Throws `TypeError` for what is neither an https URL nor on loopback. */
function checkUrl(option: string, url: string): URL {
  if (!isSecure(url)) {
    throw new TypeError(`${option} ${JSON.stringify(url)} must be an https URL`);
  }
  return new URL(url);
}

function isSecure(url: string): boolean {
  if (!URL.canParse(url)) {
    return false;
  }
  const parsed = new URL(url);
  return parsed.protocol === "https:" || (parsed.protocol === "http:" && isLoopback(parsed));
}
