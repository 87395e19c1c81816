import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type AuthzRule,
  createGatewayAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  type ServerAuthOptions,
} from "connectrpc-auth/server";
import { CatalogServicePolicies } from "./gen/acme/shop/v1/catalog_auth.js";
import { OrderServicePolicies } from "./gen/acme/shop/v1/order_auth.js";
import { ReportServicePolicies } from "./gen/acme/shop/v1/report_auth.js";
import { type Listening, listenOnLoopback } from "./loopback.js";
import { shopRoutes } from "./shop-routes.js";

/** What the shop's server must know of others. */
export interface ShopServerOptions {
  /** Who issues tokens, and where its keys are. */
  readonly issuer: string;
  readonly jwksUri: string;
  /** The name of this server in tokens. */
  readonly audience: string;
  /** What other services prove with that they are services. */
  readonly serviceSecret: string;
  /** Told of each refused call. */
  readonly onDenied?: NonNullable<ServerAuthOptions["onDenied"]>;
  /** Told of each request, as it comes over the wire. */
  readonly onRequest?: (request: WireRequest) => void;
}

/** What a request brings with it. */
export interface WireRequest {
  readonly authorization: string | undefined;
  readonly proof: string | undefined;
}

/** A running shop. */
export interface ShopServer extends Listening {
  /** Begins anew: with its first products, and without the keys and nonces it had. */
  restart(): void;
}

/** Decides on the methods that the proto files say nothing about. */
export const shopRules: readonly AuthzRule[] = [
  {
    name: "admins export sales",
    methods: ["acme.shop.v1.ReportService/ExportSales"],
    effect: "allow",
    requires: { roles: ["admin"] },
  },
];

/** Serves the shop: Connect, gRPC and gRPC-Web over HTTP/2 without encryption, on this machine only. */
export async function startShopServer(options: ShopServerOptions): Promise<ShopServer> {
  const server = createServer();
  const { baseUrl, close } = await listenOnLoopback(server);
  let handler = createHandler(baseUrl, options);
  server.on("request", (req, res) => {
    const { authorization, dpop } = req.headers;
    options.onRequest?.({ authorization, proof: dpop?.toString() });
    handler(req, res);
  });
  return {
    baseUrl,
    close,
    restart() {
      handler = createHandler(baseUrl, options);
    },
  };
}

function createHandler(baseUrl: string, options: ShopServerOptions) {
  const { issuer, jwksUri, audience, serviceSecret, onDenied } = options;
  const auth = createServerAuth({
    policies: [CatalogServicePolicies, OrderServicePolicies, ReportServicePolicies],
    authenticate: createJwtAuthInterceptor({
      issuer,
      jwksUri,
      audience,
      algorithms: ["ES256"],
      // the issuer's clock is the one of this machine
      clockToleranceSeconds: 0,
      // a token that is bound to a key counts only with a proof of that key, and a nonce of ours in it
      dpop: { publicOrigins: [baseUrl], nonces: true },
    }),
    internal: createGatewayAuthInterceptor({ trustSource: { expectedValues: [serviceSecret] } }),
    rules: shopRules,
    ...(onDenied && { onDenied }),
  });
  return connectNodeAdapter({ routes: auth.guard(shopRoutes), interceptors: auth.interceptors });
}
