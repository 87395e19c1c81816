import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { type Auth, type Credentials, createAuthTransport } from "connectrpc-auth";
import {
  type CatalogServiceClient,
  type CatalogServicePublicClient,
  createCatalogServiceClient,
} from "./gen/acme/shop/v1/catalog_auth.js";
import {
  createOrderServiceClient,
  type OrderServiceClient,
  type OrderServiceInternalClient,
  type OrderServicePublicClient,
  type OrderServiceUserClient,
} from "./gen/acme/shop/v1/order_auth.js";
import {
  createReportServiceClient,
  type ReportServiceClient,
} from "./gen/acme/shop/v1/report_auth.js";

/** Clients of someone who has not signed in: public methods only, and no credential leaves the process. */
export interface VisitorClients {
  readonly catalog: CatalogServicePublicClient;
  readonly orders: OrderServicePublicClient;
}

/** The clients of a visitor, over gRPC-Web. */
export function createVisitorClients(baseUrl: string): VisitorClients {
  const options = { baseUrl, httpVersion: "2" } as const;
  return {
    catalog: createCatalogServiceClient(createGrpcWebTransport, options),
    orders: createOrderServiceClient(createGrpcWebTransport, options),
  };
}

/** Clients of someone who has signed in: all but the internal methods. */
export interface UserClients {
  readonly catalog: CatalogServiceClient;
  readonly orders: OrderServiceUserClient;
}

/** The clients of a user, over Connect, on one transport. */
export function createUserClients(baseUrl: string, credentials: Credentials): UserClients {
  const transport = createAuthTransport(
    createConnectTransport,
    { baseUrl, httpVersion: "2" },
    { credentials },
  );
  return {
    catalog: createCatalogServiceClient(transport),
    orders: createOrderServiceClient(transport),
  };
}

/** The client of another service, over gRPC: internal methods, but none that needs a user. */
export function createWarehouseClient(
  baseUrl: string,
  internalCredentials: Credentials,
): OrderServiceInternalClient {
  return createOrderServiceClient(createGrpcTransport, { baseUrl }, { internalCredentials });
}

/** Clients that have every method. */
export interface AllClients {
  readonly catalog: CatalogServiceClient;
  readonly orders: OrderServiceClient;
  readonly reports: ReportServiceClient;
}

/**
 * Clients of someone who tries every door: they present what they have, as
 * both kinds of credentials. Then the types hide no method, and the server has
 * to refuse what they may not do.
 */
export function createStubbornClients(baseUrl: string, auth: Auth): AllClients {
  const transport = createAuthTransport(
    createConnectTransport,
    { baseUrl, httpVersion: "2", defaultTimeoutMs: 5_000 },
    { credentials: auth, internalCredentials: auth },
  );
  return {
    catalog: createCatalogServiceClient(transport),
    orders: createOrderServiceClient(transport),
    reports: createReportServiceClient(transport),
  };
}
