import {
  type AuthorizationServer,
  allowInsecureRequests,
  customFetch,
  discoveryRequest,
  processDiscoveryResponse,
} from "oauth4webapi";
import { parseJsonObject } from "../http-answer.js";
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

/** After a failure, and where there are none: it may have been a gateway that said so. */
const retryMs = 60_000;

/** Knows the metadata of an authorization server. */
export interface Discovery {
  /** Throws `AuthClientError`. */
  metadata(): Promise<AuthorizationServer>;
  /** The token endpoint in these metadata is not there. Where it was a guess, they are found out again. */
  notFound(metadata: AuthorizationServer): void;
}

/**
 * Finds the metadata of an authorization server (RFC 8414), once an hour: a
 * failure then leaves the old ones in place, as does a server that says that
 * there are none. Where there is no such document, the one of OpenID Connect
 * counts, and where neither was found (404), the token endpoint is at its
 * default path, for a minute.
 */
export function createDiscovery(options: DiscoveryOptions): Discovery {
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
    return { metadata: async () => given, notFound() {} };
  }

  const ask = async (algorithm: "oauth2" | "oidc"): Promise<Document> => {
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
    if (!answer) {
      throw new AuthClientError("network_error", `no answer from ${issuer.href}`);
    }
    const { ok, text, status } = answer;
    if (!ok) {
      const error = toError(`the metadata of ${issuer.href}`, answer, now());
      if (status < 400 || status >= 500 || status === 408 || status === 429) {
        throw error;
      }
      return { missing: error };
    }
    const noMetadata = new AuthClientError(
      "invalid_response",
      `no metadata of ${issuer.href} in the answer`,
    );
    if (!parseJsonObject(text)) {
      // a page for people, say
      return { missing: noMetadata };
    }
    const response = new Response(text, { headers: { "content-type": "application/json" } });
    const metadata = await processDiscoveryResponse(issuer, response).catch((error: unknown) => {
      throw Object(error).code === "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED"
        ? new AuthClientError("issuer_mismatch", `the metadata are not those of ${issuer.href}`)
        : noMetadata;
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
    return { metadata };
  };

  /** `undefined`: there are none. */
  const discover = async () => {
    const errors: AuthClientError[] = [];
    for (const algorithm of ["oauth2", "oidc"] as const) {
      const { metadata, missing } = await ask(algorithm);
      if (metadata) {
        return metadata;
      }
      errors.push(missing);
    }
    const other = errors.find(({ status }) => status !== 404);
    if (other) {
      throw other;
    }
    return undefined;
  };

  const guess: AuthorizationServer = {
    issuer: options.issuer,
    token_endpoint: issuer.href.replace(/\/$/, "") + defaultTokenPath,
  };
  let found: { readonly metadata: AuthorizationServer; readonly until: number } | undefined;
  let running: Promise<AuthorizationServer> | undefined;
  const refresh = async () => {
    try {
      const metadata = await discover();
      found = metadata
        ? { metadata, until: clock() + metadataLifetimeMs }
        : { metadata: found?.metadata ?? guess, until: clock() + retryMs };
      return found.metadata;
    } catch (error) {
      if (!found) {
        throw error;
      }
      found = { ...found, until: clock() + retryMs };
      return found.metadata;
    } finally {
      running = undefined;
    }
  };
  return {
    async metadata() {
      if (found && clock() < found.until) {
        return found.metadata;
      }
      running ??= refresh();
      // the old ones do meanwhile: a server that hangs costs no call its time
      return found && found.metadata !== guess ? found.metadata : running;
    },
    notFound(metadata) {
      if (metadata === guess && found?.metadata === guess) {
        found = undefined;
      }
    },
  };
}

/** One of the documents, or why it is not there. */
type Document =
  | { readonly metadata: AuthorizationServer; readonly missing?: never }
  | { readonly metadata?: never; readonly missing: AuthClientError };

/** Throws `TypeError` for what is neither an https URL nor on loopback, and for a password in it. */
export function checkUrl(option: string, url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.username || parsed?.password) {
    throw new TypeError(`${option} must have no user name and no password`);
  }
  if (!parsed || !isSecure(url)) {
    // what is before an @ may be a password
    const shown = `${JSON.stringify(url)}`.replace(/.*@/, '"…@');
    throw new TypeError(`${option} ${shown} must be an https URL`);
  }
  return parsed;
}

/** Whether a URL is https, or http on loopback. */
export function isSecure(url: string): boolean {
  const parsed = new URL(url);
  return parsed.protocol === "https:" || (parsed.protocol === "http:" && isLoopback(parsed));
}
