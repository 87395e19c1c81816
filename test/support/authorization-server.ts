import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import { listenOnLoopback } from "../../example/loopback.js";
import { answerWithFault, createFaultPlan, type Faults, sendJson } from "./faulty-server.js";
import { certificates } from "./mutual-tls.js";
import type { TestClients } from "./oauth-clients.js";
import type { resources } from "./provider.js";
import { readTokenRequest, type TokenRequest } from "./token-request.js";

/** What a server issues at first. */
export interface AuthorizationServerOptions {
  /** Default: 300. */
  readonly tokenLifetimeSeconds?: number;
  /** Whether a DPoP proof needs a nonce (RFC 9449 §8). Default: false, and no nonce is offered. */
  readonly dpopNonces?: boolean;
  /** Whether it speaks TLS, and asks for a certificate: see `createTlsFetch`. Default: false. */
  readonly tls?: boolean;
}

/** The metadata documents that are served, or the one that is served in place of both. */
export type ServedMetadata = "both" | "oauth" | "oidc" | "none" | object;

/** What a refresh token stands for. */
export interface RefreshTokenOptions {
  readonly clientId: string;
  /** Separated by spaces. */
  readonly scope: string;
  /** Default: `resources.orders`. With several, a request must name one. */
  readonly resources?: readonly string[];
  /** Default: `alice`. */
  readonly subject?: string;
  /** The thumbprint of the key that it is bound to. Default: none. */
  readonly dpopJkt?: string;
}

/** A certified authorization server with faults in front of it. */
export interface TestAuthorizationServer {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly tokenEndpoint: string;
  readonly introspectionEndpoint: string;
  readonly revocationEndpoint: string;
  readonly clients: TestClients;
  readonly resources: typeof resources;
  /** What came to the token endpoint, in order. */
  readonly requests: readonly TokenRequest[];
  /** The paths of the metadata documents that were asked for, in order. */
  readonly discoveryRequests: readonly string[];
  /** Sets the lifetime of the tokens that are issued from now on. */
  setTokenLifetime(seconds: number): void;
  /** Refuses every nonce that it gave out. */
  restartNonces(): void;
  /** Signs with another key from now on, and publishes no older one. */
  rotateKeys(): Promise<void>;
  /** Makes a refresh token. Using it rotates it; using it again revokes what came from it. */
  createRefreshToken(options: RefreshTokenOptions): Promise<string>;
  /** Sets the faults of the token endpoint. */
  fault(faults: Faults): void;
  /** Sets the faults of the metadata documents. */
  discoveryFault(faults: Faults): void;
  /** Sets which metadata is served. With "none", `/api/v1/auth/oauth/token` is a token endpoint too. */
  metadata(served: ServedMetadata): void;
  /** Stops it, and ends every connection, those that hang included. */
  close(): Promise<void>;
}

/** Starts a server on a free port. It starts with metadata and without faults. */
export async function startAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<TestAuthorizationServer> {
  const { dpopNonces = false, tls = false } = options;
  let { tokenLifetimeSeconds = 300 } = options;
  const server = tls
    ? https.createServer({ ...certificates.server, requestCert: true, rejectUnauthorized: false })
    : http.createServer();
  const { baseUrl, close } = await listenOnLoopback(server);
  const issuer = tls ? baseUrl.replace("http:", "https:") : baseUrl;
  const { createProviderFactory, resources } = await loadProvider();
  const { clients, createProvider, rotateKeys } = await createProviderFactory(issuer, {
    tokenLifetimeSeconds: () => tokenLifetimeSeconds,
    dpopNonces,
  });
  let provider = createProvider();
  let answer = provider.callback();
  const restart = () => {
    provider = createProvider();
    answer = provider.callback();
  };

  const requests: TokenRequest[] = [];
  const discoveryRequests: string[] = [];
  const faults = createFaultPlan();
  const discoveryFaults = createFaultPlan();
  let served: ServedMetadata = "both";

  const handleToken = async (req: IncomingMessage, res: ServerResponse, path: string) => {
    requests.push(await readTokenRequest(req, res, path));
    answerWithFault(faults.next(), req, res, () => void answer(req, res));
  };

  server.on("request", (req, res) => {
    const { pathname } = new URL(req.url ?? "", issuer);
    const isFallback = served === "none" && pathname === fallbackTokenPath;
    if (isFallback) {
      // as if it were mounted there, so that it expects this URL in DPoP proofs
      Object.assign(req, { originalUrl: req.url, url: "/token" });
    }
    if (req.method === "POST" && (isFallback || pathname === "/token")) {
      void handleToken(req, res, pathname);
      return;
    }
    const document = metadataDocuments.get(pathname);
    if (req.method !== "GET" || document === undefined) {
      void answer(req, res);
      return;
    }
    discoveryRequests.push(pathname);
    answerWithFault(discoveryFaults.next(), req, res, () => {
      if (typeof served === "object") {
        sendJson(res, served);
      } else if (served === "both" || served === document) {
        void answer(req, res);
      } else {
        res.writeHead(404, { "access-control-allow-origin": "*" }).end();
      }
    });
  });

  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    tokenEndpoint: `${issuer}/token`,
    introspectionEndpoint: `${issuer}/token/introspection`,
    revocationEndpoint: `${issuer}/token/revocation`,
    clients,
    resources,
    requests,
    discoveryRequests,
    setTokenLifetime(seconds) {
      tokenLifetimeSeconds = seconds;
    },
    restartNonces: restart,
    async rotateKeys() {
      await rotateKeys();
      restart();
    },
    async createRefreshToken({ clientId, scope, dpopJkt, subject = "alice", ...rest }) {
      const granted = rest.resources ?? [resources.orders];
      const client = await provider.Client.find(clientId);
      if (client === undefined) {
        throw new Error(`there is no client "${clientId}"`);
      }
      const grant = new provider.Grant({ clientId, accountId: subject });
      for (const resource of granted) {
        grant.addResourceScope(resource, scope);
      }
      const token = new provider.RefreshToken({
        client,
        accountId: subject,
        grantId: await grant.save(),
        gty: "authorization_code",
        scope,
        resource: granted.length === 1 ? granted[0] : [...granted],
        jkt: dpopJkt,
      });
      return token.save();
    },
    fault: faults.set,
    discoveryFault: discoveryFaults.set,
    metadata(next) {
      served = next;
    },
    close,
  };
}

/** Where our client looks for a token endpoint when an issuer has no metadata. */
const fallbackTokenPath = "/api/v1/auth/oauth/token";

const metadataDocuments = new Map([
  ["/.well-known/oauth-authorization-server", "oauth"],
  ["/.well-known/openid-configuration", "oidc"],
]);

/** Loads the server, without its warning that it is not supported on Node 20, where it works. */
async function loadProvider(): Promise<typeof import("./provider.js")> {
  const { warn } = console;
  console.warn = (...data) => {
    if (!String(data[0]).includes("Unsupported runtime")) {
      warn(...data);
    }
  };
  try {
    return await import("./provider.js");
  } finally {
    console.warn = warn;
  }
}
