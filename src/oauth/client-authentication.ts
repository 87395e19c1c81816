import {
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  modifyAssertion,
  None,
  PrivateKeyJwt,
  TlsClientAuth,
} from "oauth4webapi";
import { encodeBasicAuth } from "../credentials/basic-auth.js";

/** How a client proves to the authorization server which one it is (RFC 6749 §2.3). */
export interface ClientAuthentication {
  /** Its name in `token_endpoint_auth_methods_supported`. */
  readonly method: string;
  /** Adds the proof to a token request. */
  readonly authenticate: ClientAuth;
  /** Whether to use the endpoints that the server has for mutual TLS (RFC 8705 §5). */
  readonly usesMtlsEndpoints?: boolean | undefined;
}

/**
 * The secret in `Authorization: Basic`, RFC 6749 §2.3.1. The default.
 *
 * `raw`: id and secret as they are. By the RFC both are form-encoded first,
 * which makes a difference for characters such as `:`, `%`, `+` and `é`; some
 * servers do not decode them. Default: false.
 */
export function clientSecretBasic(
  clientSecret: string,
  { raw = false }: { readonly raw?: boolean | undefined } = {},
): ClientAuthentication {
  checkSecret(clientSecret);
  const authenticate: ClientAuth = raw
    ? (_as, client, _body, headers) =>
        headers.set("authorization", `Basic ${encodeBasicAuth(client.client_id, clientSecret)}`)
    : ClientSecretBasic(clientSecret);
  return { method: "client_secret_basic", authenticate };
}

/** The secret in the body, RFC 6749 §2.3.1, for servers that do not read the header. */
export function clientSecretPost(clientSecret: string): ClientAuthentication {
  checkSecret(clientSecret);
  return { method: "client_secret_post", authenticate: ClientSecretPost(clientSecret) };
}

/** Options of `privateKeyJwt`. */
export interface PrivateKeyJwtOptions {
  /** The private key, for signatures. It decides the algorithm, and may be non-extractable. */
  readonly key: CryptoKey;
  /** The `kid` under which the server knows its public key. Default: none. */
  readonly kid?: string | undefined;
  /** `aud` of the assertion. Default: the issuer. Older servers ask for their token endpoint. */
  readonly audience?: string | undefined;
}

/** A signed assertion in place of a secret: `private_key_jwt`, RFC 7523 §2.2. */
export function privateKeyJwt({ key, kid, audience }: PrivateKeyJwtOptions): ClientAuthentication {
  const authenticate = PrivateKeyJwt(
    { key, ...(kid !== undefined && { kid }) },
    {
      [modifyAssertion](_header, payload) {
        if (audience !== undefined) {
          payload.aud = audience;
        }
      },
    },
  );
  return { method: "private_key_jwt", authenticate };
}

/**
 * The certificate of the connection (mutual TLS, RFC 8705), of an authority
 * that the server trusts or self-signed: `fetch` of the same options presents it.
 */
export function tlsClientAuth(): ClientAuthentication {
  return { method: "tls_client_auth", authenticate: TlsClientAuth(), usesMtlsEndpoints: true };
}

/** No proof: for a public client, which names itself only. */
export function publicClient(): ClientAuthentication {
  return { method: "none", authenticate: None() };
}

function checkSecret(clientSecret: string): void {
  if (typeof clientSecret !== "string" || clientSecret === "") {
    throw new TypeError("clientSecret must be a string that is not empty");
  }
}
