import { createGrpcTransport } from "@connectrpc/connect-node";
import { createAuthTransport } from "connectrpc-auth";
import { clientCredentials, privateKeyJwt } from "connectrpc-auth/oauth";
import { createCatalogServiceClient } from "./gen/acme/shop/v1/catalog_auth.js";
import { createOrderServiceClient } from "./gen/acme/shop/v1/order_auth.js";
import type { UserClients } from "./shop-clients.js";

/** What another company's service must know to call the shop. */
export interface SupplierOptions {
  /** The authorization server. Where it takes token requests, its metadata say. */
  readonly issuer: string;
  /** What the service signs its token requests with. */
  readonly key: CryptoKey;
  /** The name of the shop in tokens. */
  readonly audience: string;
}

/** The clients of a service that calls in its own name, over gRPC, on one transport. */
export function createSupplierClients(baseUrl: string, options: SupplierOptions): UserClients {
  const transport = createAuthTransport(
    createGrpcTransport,
    { baseUrl },
    {
      credentials: clientCredentials({
        issuer: options.issuer,
        clientId: "supplier",
        clientAuthentication: privateKeyJwt({ key: options.key }),
        resource: options.audience,
        // each call has a token for what its method asks for, and nothing else
        scope: "from-policy",
        dpop: true,
      }),
    },
  );
  return {
    catalog: createCatalogServiceClient(transport),
    orders: createOrderServiceClient(transport),
  };
}
