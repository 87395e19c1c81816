import {
  authorizationHeader,
  dpopHeader,
  dpopNonceHeader,
  wwwAuthenticateHeader,
} from "../headers.js";

/** Names of headers, for CORS. */
export interface CorsHeaders {
  /** For `Access-Control-Allow-Headers`: what a page may send. */
  readonly allowedHeaders: readonly string[];
  /** For `Access-Control-Expose-Headers`: what a page may read. */
  readonly exposedHeaders: readonly string[];
}

/**
 * What CORS must allow beside the `cors` of Connect, where pages of other
 * origins call: bearer tokens and DPoP proofs on the way in, challenges and
 * nonces on the way out. Without the exposed headers a page is refused and
 * cannot know why, and a client with DPoP never learns the nonce.
 *
 * A `*` does not do: it never stands for `Authorization`. API keys and session
 * tokens in headers of your own are to be added. Cookies are no header that
 * CORS names, they need `Access-Control-Allow-Credentials`.
 *
 * ```ts
 * import { cors } from "@connectrpc/connect";
 *
 * const allowedHeaders = [...cors.allowedHeaders, ...authCors.allowedHeaders];
 * const exposedHeaders = [...cors.exposedHeaders, ...authCors.exposedHeaders];
 * ```
 */
export const authCors: CorsHeaders = {
  allowedHeaders: [authorizationHeader, dpopHeader],
  exposedHeaders: [wwwAuthenticateHeader, dpopNonceHeader],
};
