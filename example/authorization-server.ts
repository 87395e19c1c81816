import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { type Adapter, Provider } from "oidc-provider";
import { type AccountName, accountOf, accounts } from "./accounts.js";
import { listenOnLoopback } from "./loopback.js";

/** A server that issues access tokens. */
export interface AuthorizationServer {
  readonly issuer: string;
  /** Where the keys are that its tokens are verified with. */
  readonly jwksUri: string;
  /** Gets a token with the roles and scopes of the account. */
  requestToken(account: AccountName): Promise<string>;
  close(): Promise<void>;
}

/**
 * Starts a certified OAuth 2.0 server in this process. It issues JWT access
 * tokens (RFC 9068) for one audience, and keeps nothing on disk.
 */
export async function startAuthorizationServer(audience: string): Promise<AuthorizationServer> {
  const server = createServer();
  const { baseUrl: issuer, close } = await listenOnLoopback(server);
  const clientSecret = randomBytes(32).toString("base64url");
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const signingKey = { ...(await exportJWK(privateKey)), kid: "shop-1", alg: "ES256", use: "sig" };

  const provider = new Provider(issuer, {
    jwks: { keys: [signingKey] },
    scopes: Object.values(accounts).flatMap(({ scopes }) => scopes),
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    clients: Object.entries(accounts).map(([name, { scopes }]) => ({
      client_id: name,
      client_secret: clientSecret,
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
      scope: scopes.join(" "),
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
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
  server.on("request", provider.callback());

  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    close,
    async requestToken(account) {
      // the client credentials grant, RFC 6749 §4.4, for one resource, RFC 8707
      const response = await fetch(`${issuer}/token`, {
        method: "POST",
        headers: { authorization: `Basic ${btoa(`${account}:${clientSecret}`)}` },
        body: new URLSearchParams({
          grant_type: "client_credentials",
          scope: accounts[account].scopes.join(" "),
          resource: audience,
        }),
      });
      const answer: unknown = await response.json();
      if (!hasAccessToken(answer)) {
        throw new Error(`no token for ${account}: ${JSON.stringify(answer)}`);
      }
      return answer.access_token;
    },
  };
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

function hasAccessToken(answer: unknown): answer is { access_token: string } {
  return (
    typeof answer === "object" &&
    answer !== null &&
    "access_token" in answer &&
    typeof answer.access_token === "string"
  );
}
