import { randomBytes } from "node:crypto";
import { TLSSocket } from "node:tls";
import { exportJWK, generateKeyPair } from "jose";
import { errors, Provider, type ResourceServer } from "oidc-provider";
import { createMemoryAdapter } from "./memory-adapter.js";
import { createTestClients, scopes, type TestClients } from "./oauth-clients.js";
import { actOf, registerTokenExchange } from "./token-exchange.js";

/** The APIs that tokens can be for (RFC 8707). */
export const resources = {
  /** JWTs (RFC 9068), every scope. */
  orders: "https://orders.test/",
  /** JWTs, `users:read` and `users:write` only: others are dropped in silence. */
  users: "https://users.test/",
  /** Opaque tokens, every scope. */
  opaque: "https://opaque.test/",
} as const;

export interface ProviderOptions {
  readonly tokenLifetimeSeconds: () => number;
  readonly dpopNonces: boolean;
}

export interface ProviderFactory {
  readonly clients: TestClients;
  /** One that is made anew knows the keys and tokens of the one before it, but not its nonces. */
  readonly createProvider: () => Provider;
  /** The next provider signs with another key, and publishes no older one. */
  readonly rotateKeys: () => Promise<void>;
}

/** Returns the clients of an issuer, and what makes its provider. */
export async function createProviderFactory(
  issuer: string,
  { tokenLifetimeSeconds, dpopNonces }: ProviderOptions,
): Promise<ProviderFactory> {
  const { clients, metadata } = await createTestClients();
  let signing = await createSigningKey(1);
  const adapter = createMemoryAdapter();

  const createProvider = () => {
    const provider = new Provider(issuer, {
      adapter,
      clients: metadata,
      jwks: { keys: [signing.jwk] },
      // refresh tokens exist only where this scope does
      scopes: [...scopes, "offline_access"],
      clientDefaults: { id_token_signed_response_alg: "ES256" },
      clientAuthMethods: [
        "none",
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "self_signed_tls_client_auth",
      ],
      enabledJWA: { dPoPSigningAlgValues: ["ES256", "Ed25519", "EdDSA"] },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: { enabled: true, allowedPolicy: () => true },
        dPoP: dpopNonces
          ? { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true }
          : { enabled: true },
        mTLS: {
          enabled: true,
          selfSignedTlsClientAuth: true,
          certificateBoundAccessTokens: true,
          getCertificate: ({ socket }) =>
            socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined,
        },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_ctx, resource) => resourceServer(resource),
        },
      },
      ttl: {
        AccessToken: tokenLifetimeSeconds,
        ClientCredentials: tokenLifetimeSeconds,
        RefreshToken: 86_400,
        Grant: 86_400,
      },
      rotateRefreshToken: true,
      findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
      extraTokenClaims: (_ctx, token) => actOf(token),
      clientBasedCORS: () => true,
    });
    registerTokenExchange(provider, signing.publicKey);
    return provider;
  };
  return {
    clients,
    createProvider,
    async rotateKeys() {
      signing = await createSigningKey(signing.number + 1);
    },
  };
}

async function createSigningKey(number: number) {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), kid: `as-${number}`, alg: "ES256", use: "sig" };
  return { number, publicKey, jwk };
}

function resourceServer(resource: string): ResourceServer {
  const jwt = { accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } } as const;
  switch (resource) {
    case resources.orders:
      return { audience: resource, scope: scopes.join(" "), ...jwt };
    case resources.users:
      return { audience: resource, scope: "users:read users:write", ...jwt };
    case resources.opaque:
      return { audience: resource, scope: scopes.join(" "), accessTokenFormat: "opaque" };
    default:
      throw new errors.InvalidTarget();
  }
}
