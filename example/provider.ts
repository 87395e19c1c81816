import { exportJWK, generateKeyPair, type JWK } from "jose";
import { type Adapter, type ClientMetadata, Provider } from "oidc-provider";
import { accountOf, accounts } from "./accounts.js";

/** What a provider is made of. */
export interface ProviderOptions {
  readonly issuer: string;
  /** Whom its tokens are for. */
  readonly audience: string;
  readonly clients: ClientMetadata[];
  readonly signingKey: JWK;
  /** At least 32 bytes, of which the nonces for DPoP proofs are made. */
  readonly nonceSecret: Buffer;
}

/**
 * Makes a certified OAuth 2.0 server. It issues JWT access tokens (RFC 9068)
 * for one audience, bound to a key where the client proves that it has one
 * (RFC 9449), and keeps nothing on disk.
 */
export function createProvider(options: ProviderOptions): Provider {
  const { issuer, audience, clients, signingKey, nonceSecret } = options;
  return new Provider(issuer, {
    jwks: { keys: [signingKey] },
    scopes: Object.values(accounts).flatMap(({ scopes }) => scopes),
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    clientAuthMethods: ["client_secret_basic", "private_key_jwt"],
    clients,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true, nonceSecret, requireNonce: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, _resource, { clientId }) => ({
          audience,
          scope: accountOf(clientId).scopes.join(" "),
          accessTokenFormat: "jwt",
          accessTokenTTL: accountOf(clientId).tokenLifetimeSeconds,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
    ttl: { ClientCredentials: (_ctx, { resourceServer }) => resourceServer?.accessTokenTTL ?? 60 },
    extraTokenClaims: (_ctx, { clientId = "" }) => ({ roles: accountOf(clientId).roles }),
    adapter: () => forgetful,
  });
}

/** Makes a key that tokens are signed with. */
export async function createSigningKey(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: "ES256", use: "sig" };
}

/** Tokens that say everything themselves need no storage. */
const forgetful: Adapter = {
  upsert: async () => {},
  find: async () => undefined,
  findByUid: async () => undefined,
  findByUserCode: async () => undefined,
  consume: async () => {},
  destroy: async () => {},
  revokeByGrantId: async () => {},
};
