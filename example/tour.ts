import { ConnectError } from "@connectrpc/connect";
import { Auth, isAuthError } from "connectrpc-auth";
import type { AuthorizationServer } from "./authorization-server.js";
import { createUserClients, createVisitorClients, createWarehouseClient } from "./shop-clients.js";

/** Uses the shop in the way it is meant to be used. Returns what happened, a line each. */
export async function takeTour(
  baseUrl: string,
  issuer: AuthorizationServer,
  serviceSecret: string,
): Promise<string[]> {
  const visitor = createVisitorClients(baseUrl);
  const { products } = await visitor.catalog.listProducts({});

  const customer = createUserClients(baseUrl, async () =>
    Auth.jwt(await issuer.requestToken("customer")),
  );
  const { order } = await customer.orders.placeOrder({ sku: "mug" });

  const warehouse = createWarehouseClient(
    baseUrl,
    Auth.gateway({ secret: serviceSecret, subject: "warehouse" }),
  );
  const { reservedBy } = await warehouse.reserveStock({ sku: "mug", quantity: 1 });

  return [
    `A visitor sees ${products.length} products.`,
    `The customer places ${order?.id}, and the server knows for whom: ${order?.customer}.`,
    `Another service reserves the item, and the server knows which: ${reservedBy}.`,
    `A visitor who orders something: ${await orderAsVisitor(baseUrl)}.`,
  ];
}

async function orderAsVisitor(baseUrl: string): Promise<string> {
  const { orders } = createVisitorClients(baseUrl);
  try {
    // @ts-expect-error: without credentials there is no such method
    await orders.placeOrder({ sku: "mug" });
    return "served";
  } catch (error) {
    const { cause } = ConnectError.from(error);
    if (!isAuthError(cause)) {
      throw error;
    }
    return `does not compile; forced, ${cause.sent ? "sent" : "not sent"}, because ${cause.message}`;
  }
}
