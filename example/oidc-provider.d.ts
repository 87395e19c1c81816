/** What the example uses of `oidc-provider`, which comes without types. */
declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http";

  interface Client {
    readonly clientId: string;
  }

  interface Token {
    readonly clientId: string;
  }

  interface ResourceServer {
    scope: string;
    audience: string;
    accessTokenFormat: "jwt";
    accessTokenTTL: number;
    jwt: { sign: { alg: string } };
  }

  interface Configuration {
    adapter(name: string): object;
    clientDefaults: Record<string, unknown>;
    clients: Record<string, unknown>[];
    extraTokenClaims(ctx: unknown, token: Token): Record<string, unknown>;
    features: {
      devInteractions: { enabled: false };
      clientCredentials: { enabled: true };
      resourceIndicators: {
        enabled: true;
        getResourceServerInfo(ctx: unknown, resource: string, client: Client): ResourceServer;
      };
    };
    jwks: { keys: object[] };
    scopes: readonly string[];
    ttl: { ClientCredentials(ctx: unknown, token: { resourceServer: ResourceServer }): number };
  }

  export class Provider {
    constructor(issuer: string, configuration: Configuration);
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}
