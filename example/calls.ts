import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodPolicy, ServicePolicies } from "connectrpc-auth";
import { CatalogServicePolicies } from "./gen/acme/shop/v1/catalog_auth.js";
import type { CatalogService } from "./gen/acme/shop/v1/catalog_pb.js";
import { OrderServicePolicies } from "./gen/acme/shop/v1/order_auth.js";
import type { OrderService } from "./gen/acme/shop/v1/order_pb.js";
import { ReportServicePolicies } from "./gen/acme/shop/v1/report_auth.js";
import type { ReportService } from "./gen/acme/shop/v1/report_pb.js";
import type { AllClients } from "./shop-clients.js";

/** A call to one method, and who may make it. */
export interface Call {
  readonly method: DescMethod;
  readonly policy: MethodPolicy;
  run(): Promise<unknown>;
}

/** A call for each method of a service: the compiler misses one that is not there. */
type CallsOf<S extends DescService> = {
  readonly [K in keyof S["method"]]: () => Promise<unknown>;
};

/** One call to each method of the shop, in the order of the proto files. */
export function callsToEverything({ catalog, orders, reports }: AllClients): Call[] {
  const catalogCalls: CallsOf<typeof CatalogService> = {
    listProducts: () => catalog.listProducts({}),
    watchPrice: () => readAll(catalog.watchPrice({ sku: "mug" })),
    setPrice: () => catalog.setPrice({ sku: "mug", priceCents: 950 }),
    uploadProducts: () =>
      catalog.uploadProducts(
        stream(
          { product: { sku: "cap", title: "A cap", priceCents: 1500 } },
          { product: { sku: "bag", title: "A bag", priceCents: 2000 } },
        ),
      ),
    clearCatalog: () => catalog.clearCatalog({}),
  };
  const orderCalls: CallsOf<typeof OrderService> = {
    listMyOrders: () => readAll(orders.listMyOrders({})),
    askSupport: () =>
      readAll(orders.askSupport(stream({ question: "When?" }, { question: "Where?" }))),
    placeOrder: () => orders.placeOrder({ sku: "mug" }),
    cancelOrder: () => orders.cancelOrder({ id: "order-1" }),
    reserveStock: () => orders.reserveStock({ sku: "mug", quantity: 2 }),
    refundOrder: () => orders.refundOrder({ id: "order-1" }),
  };
  const reportCalls: CallsOf<typeof ReportService> = {
    exportSales: () => reports.exportSales({}),
  };
  return [
    ...withPolicies(CatalogServicePolicies, catalogCalls),
    ...withPolicies(OrderServicePolicies, orderCalls),
    ...withPolicies(ReportServicePolicies, reportCalls),
  ];
}

function withPolicies<S extends DescService>(
  { service, methods }: ServicePolicies<S>,
  calls: CallsOf<S>,
): Call[] {
  return service.methods.map((method) => {
    const name: keyof S["method"] & string = method.localName;
    return { method, policy: methods[name], run: calls[name] };
  });
}

async function* stream<T>(...messages: T[]): AsyncIterable<T> {
  yield* messages;
}

async function readAll<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) {
    all.push(message);
  }
  return all;
}
