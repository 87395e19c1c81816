import { AuthClientError } from "../oauth/auth-client-error.js";
import { checkUrl, createDiscovery, isSecure } from "../oauth/discovery.js";
import type { Fetch } from "../oauth/limited-fetch.js";
import { createSteadyClock } from "../steady-clock.js";

/** Where tokens are asked about. */
export interface IntrospectionPlace {
  readonly url: string;
  /** Whom an assertion of the client is for. */
  readonly issuer: string;
}

/** Knows where tokens are asked about. */
export interface IntrospectionFinder {
  /** Throws `AuthClientError` where the metadata of the issuer do not say it. */
  find(): Promise<IntrospectionPlace>;
  /** The endpoint is not there: metadata are asked for again. */
  forget(): void;
}

/** What decides where tokens are asked about. */
export interface FindOptions {
  readonly introspectionEndpoint?: string;
  readonly issuer?: string;
  readonly fetch: Fetch;
  readonly timeoutMs: number;
  /** Whether to use the endpoint that the server has for mutual TLS (RFC 8705 §5). */
  readonly usesMtlsEndpoints: boolean;
}

/**
 * Takes the endpoint that is given, or else the one in the metadata of the
 * issuer (RFC 8414 §2), which are kept for an hour. Throws `TypeError` where
 * neither is given, or one that is no https URL (http only on loopback).
 */
export function findIntrospectionEndpoint(options: FindOptions): IntrospectionFinder {
  const { introspectionEndpoint, issuer, fetch, timeoutMs, usesMtlsEndpoints } = options;
  if ("issuer" in options) {
    checkUrl("issuer", String(issuer));
  }
  if ("introspectionEndpoint" in options) {
    const url = checkUrl("introspectionEndpoint", String(introspectionEndpoint)).href;
    return { find: async () => ({ url, issuer: issuer ?? "" }), forget() {} };
  }
  if (issuer === undefined) {
    throw new TypeError("introspectionEndpoint or issuer must be given");
  }
  const clock = createSteadyClock();
  const now = () => new Date();
  const start = () =>
    createDiscovery({ issuer, tokenEndpoint: undefined, fetch, now, clock, timeoutMs });
  let discovery = start();
  const forget = () => {
    discovery = start();
  };
  return {
    async find() {
      const { introspection_endpoint: usual, mtls_endpoint_aliases: aliases } =
        await discovery.metadata();
      const url: unknown = (usesMtlsEndpoints && aliases?.introspection_endpoint) || usual;
      if (typeof url !== "string" || !URL.canParse(url) || !isSecure(url)) {
        forget();
        throw new AuthClientError(
          "invalid_response",
          `the metadata of ${issuer} name no introspection endpoint with https`,
        );
      }
      return { url, issuer };
    },
    forget,
  };
}
