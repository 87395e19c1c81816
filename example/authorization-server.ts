import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import type { ClientMetadata } from "oidc-provider";
import { type AccountName, accounts, supplier } from "./accounts.js";
import { listenOnLoopback } from "./loopback.js";
import { createProvider, createSigningKey } from "./provider.js";

/** A server that issues access tokens. */
export interface AuthorizationServer {
  readonly issuer: string;
  /** Where the keys are that its tokens are verified with. */
  readonly jwksUri: string;
  /** What the supplier signs its token requests with. The server knows the public key only. */
  readonly supplierKey: CryptoKey;
  /** Gets a token with the roles and scopes of the account. */
  requestToken(account: AccountName): Promise<string>;
  /** How many token requests have come. */
  tokenRequests(): number;
  /** Signs with another key from now on, and forgets the one before. */
  replaceSigningKey(): Promise<void>;
  close(): Promise<void>;
}

/** Starts an authorization server in this process, whose tokens are for one audience. */
export async function startAuthorizationServer(audience: string): Promise<AuthorizationServer> {
  const server = createServer();
  const { baseUrl: issuer, close } = await listenOnLoopback(server);
  const clientSecret = randomBytes(32).toString("base64url");
  const { privateKey: supplierKey, publicKey } = await generateKeyPair("ES256");
  const clients: ClientMetadata[] = [
    ...Object.entries(accounts).map(([name, { scopes }]) => ({
      ...forTokensOnly,
      client_id: name,
      client_secret: clientSecret,
      scope: scopes.join(" "),
    })),
    {
      ...forTokensOnly,
      client_id: "supplier",
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "ES256",
      jwks: { keys: [{ ...(await exportJWK(publicKey)), alg: "ES256", use: "sig" }] },
      // RFC 9449 §5.2: none but tokens that are bound to a key
      dpop_bound_access_tokens: true,
      scope: supplier.scopes.join(" "),
    },
  ];

  const nonceSecret = randomBytes(32);
  let keys = 0;
  const createHandler = async () => {
    const signingKey = await createSigningKey(`shop-${++keys}`);
    return createProvider({ issuer, audience, clients, signingKey, nonceSecret }).callback();
  };
  let handler = await createHandler();
  let tokenRequests = 0;
  server.on("request", (req, res) => {
    tokenRequests += req.url === "/token" ? 1 : 0;
    void handler(req, res);
  });

  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    supplierKey,
    close,
    tokenRequests: () => tokenRequests,
    async replaceSigningKey() {
      handler = await createHandler();
    },
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

/** Clients that get tokens in their own name, and sign nobody in. */
const forTokensOnly = {
  grant_types: ["client_credentials"],
  response_types: [],
  redirect_uris: [],
} satisfies Partial<ClientMetadata>;

function hasAccessToken(answer: unknown): answer is { access_token: string } {
  return (
    typeof answer === "object" &&
    answer !== null &&
    "access_token" in answer &&
    typeof answer.access_token === "string"
  );
}
