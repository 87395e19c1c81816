import { X509Certificate } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import type { ClientMetadata } from "oidc-provider";
import { certificates, type KeyPair } from "./mutual-tls.js";

/** A client that authenticates with a secret. */
export interface SecretClient {
  readonly clientId: string;
  readonly clientSecret: string;
}

/** A client that signs assertions (`private_key_jwt`, ES256). */
export interface KeyClient {
  readonly clientId: string;
  readonly privateKey: CryptoKey;
  readonly kid: string;
}

/** A client that shows a certificate (RFC 8705 §2.2), for `createTlsFetch`. Its tokens are bound to it. */
export interface CertificateClient {
  readonly clientId: string;
  readonly certificate: KeyPair;
}

/** A client without authentication. */
export interface PublicClient {
  readonly clientId: string;
}

/** The clients that the authorization server knows. */
export interface TestClients {
  readonly basic: SecretClient;
  /** Id and secret hold characters that RFC 6749 §2.3.1 encodes in `Authorization: Basic`. */
  readonly encoded: SecretClient;
  readonly post: SecretClient;
  readonly privateKeyJwt: KeyClient;
  /** On a server with `tls` only. */
  readonly mutualTls: CertificateClient;
  /** May refresh tokens and exchange them, and nothing else. */
  readonly public: PublicClient;
  /** May have `orders:read` only. */
  readonly limited: SecretClient;
}

export const scopes = ["orders:read", "orders:write", "users:read", "users:write"];

export const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange";

/** Makes the clients, and what the server is to know of them. */
export async function createTestClients(): Promise<{
  readonly clients: TestClients;
  readonly metadata: ClientMetadata[];
}> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const kid = "client-1";
  const clients: TestClients = {
    basic: { clientId: "basic", clientSecret: "secret of basic" },
    encoded: { clientId: "https://client.test/a b?c=%41+1", clientSecret: "a:b+c d%20&e=f/~" },
    post: { clientId: "post", clientSecret: "secret of post" },
    privateKeyJwt: { clientId: "private-key-jwt", privateKey, kid },
    mutualTls: { clientId: "mutual-tls", certificate: certificates.client },
    public: { clientId: "public" },
    limited: { clientId: "limited", clientSecret: "secret of limited" },
  };
  const certificate = new X509Certificate(certificates.client.cert);
  const certificateJwk = {
    ...(await exportJWK(certificate.publicKey)),
    x5c: [certificate.raw.toString("base64")],
  };
  const publicJwk = { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" };
  return {
    clients,
    metadata: [
      { ...confidential, ...withSecret(clients.basic) },
      { ...confidential, ...withSecret(clients.encoded) },
      {
        ...confidential,
        ...withSecret(clients.post),
        token_endpoint_auth_method: "client_secret_post",
      },
      {
        ...confidential,
        client_id: clients.privateKeyJwt.clientId,
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "ES256",
        jwks: { keys: [publicJwk] },
      },
      {
        ...confidential,
        client_id: clients.mutualTls.clientId,
        token_endpoint_auth_method: "self_signed_tls_client_auth",
        tls_client_certificate_bound_access_tokens: true,
        jwks: { keys: [certificateJwk] },
      },
      {
        ...confidential,
        client_id: clients.public.clientId,
        token_endpoint_auth_method: "none",
        grant_types: ["refresh_token", tokenExchange],
      },
      { ...confidential, ...withSecret(clients.limited), scope: "orders:read" },
    ],
  };
}

const confidential = {
  grant_types: ["client_credentials", "refresh_token", tokenExchange],
  response_types: [],
  redirect_uris: [],
  scope: scopes.join(" "),
} satisfies Partial<ClientMetadata>;

function withSecret({ clientId, clientSecret }: SecretClient) {
  return { client_id: clientId, client_secret: clientSecret };
}
