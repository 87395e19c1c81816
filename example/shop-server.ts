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
export async function startShopServer(options: ShopServerOptions): Promise<Listening> {
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
    }),
    internal: createGatewayAuthInterceptor({ trustSource: { expectedValues: [serviceSecret] } }),
    rules: shopRules,
    ...(onDenied && { onDenied }),
  });
  const handler = connectNodeAdapter({
    routes: auth.guard(shopRoutes),
    interceptors: auth.interceptors,
  });
  return listenOnLoopback(createServer(handler));
}
