import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { requireAuthContext } from "connectrpc-auth/server";
import { CatalogService } from "./gen/acme/shop/v1/catalog_pb.js";
import { OrderService } from "./gen/acme/shop/v1/order_pb.js";
import { ReportService } from "./gen/acme/shop/v1/report_pb.js";

interface ProductData {
  readonly sku: string;
  readonly title: string;
  readonly priceCents: number;
}

interface OrderData {
  readonly id: string;
  readonly customer: string;
  readonly sku: string;
}

/**
 * The methods of the shop, with data in memory. No method asks whether its
 * caller may call it: by the time it runs, that is settled.
 */
export function shopRoutes(router: ConnectRouter): void {
  const products = new Map<string, ProductData>([
    ["mug", { sku: "mug", title: "A mug", priceCents: 900 }],
    ["pen", { sku: "pen", title: "A pen", priceCents: 250 }],
  ]);
  const orders = new Map<string, OrderData>();
  router.service(CatalogService, catalog(products));
  router.service(OrderService, orderService(products, orders));
  router.service(ReportService, {
    exportSales: () => ({
      csv: [...orders.values()].map(({ id, sku }) => `${id},${sku}`).join("\n"),
    }),
  });
}

function catalog(products: Map<string, ProductData>): ServiceImpl<typeof CatalogService> {
  return {
    listProducts: () => ({ products: [...products.values()] }),
    async *watchPrice({ sku }) {
      // a real shop would go on with each change
      yield { priceCents: find(products, sku).priceCents };
    },
    setPrice({ sku, priceCents }) {
      const product = { ...find(products, sku), priceCents };
      products.set(sku, product);
      return { product };
    },
    async uploadProducts(requests) {
      let count = 0;
      for await (const { product } of requests) {
        if (product !== undefined) {
          products.set(product.sku, product);
          count += 1;
        }
      }
      return { count };
    },
    clearCatalog() {
      products.clear();
      return {};
    },
  };
}

function orderService(
  products: ReadonlyMap<string, ProductData>,
  orders: Map<string, OrderData>,
): ServiceImpl<typeof OrderService> {
  let placed = 0;
  return {
    async *listMyOrders() {
      const { subject } = requireAuthContext();
      for (const order of orders.values()) {
        if (order.customer === subject) {
          yield { order };
        }
      }
    },
    async *askSupport(requests) {
      const { subject } = requireAuthContext();
      for await (const { question } of requests) {
        yield { answer: `Dear ${subject}, we are looking into "${question}"` };
      }
    },
    placeOrder({ sku }) {
      const customer = requireAuthContext().subject;
      const order = { id: `order-${++placed}`, customer, sku: find(products, sku).sku };
      orders.set(order.id, order);
      return { order };
    },
    cancelOrder({ id }) {
      orders.delete(id);
      return {};
    },
    reserveStock: () => ({ reservedBy: requireAuthContext().subject }),
    refundOrder: () => ({}),
  };
}

function find(products: ReadonlyMap<string, ProductData>, sku: string): ProductData {
  const product = products.get(sku);
  if (product === undefined) {
    throw new ConnectError(`no product "${sku}"`, Code.NotFound);
  }
  return product;
}
