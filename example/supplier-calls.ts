import { decodeJwt } from "jose";
import type { AuthorizationServer } from "./authorization-server.js";
import type { ShopServer, WireRequest } from "./shop-server.js";
import type { Step } from "./step.js";
import { createSupplierClients } from "./supplier-clients.js";
import type { WireLog } from "./wire-log.js";

/** The servers that the supplier has to do with, and what came to the shop over the wire. */
export interface CallsOptions {
  readonly shop: ShopServer;
  readonly issuer: AuthorizationServer;
  readonly wire: WireLog;
  /** The name of the shop in tokens. */
  readonly audience: string;
}

/**
 * Lets the supplier call the shop, through restarts and another signing key.
 * For each call: the scopes of the token on the wire, and how many requests it
 * took, to the shop and for tokens.
 */
export async function callAsSupplier(options: CallsOptions): Promise<Step[]> {
  const { shop, issuer, wire, audience } = options;
  const { catalog, orders } = createSupplierClients(shop.baseUrl, {
    issuer: issuer.issuer,
    key: issuer.supplierKey,
    audience,
  });
  const steps: Step[] = [];
  const take = async (name: string, promised: Cost, call: () => Promise<unknown>) => {
    const [sentBefore, tokensBefore] = [wire.requests.length, issuer.tokenRequests()];
    await call();
    const sent = wire.requests.slice(sentBefore);
    const scopes = [...new Set(sent.map(scopesOf))].join(", ");
    const actual: Cost = [scopes, sent.length, issuer.tokenRequests() - tokensBefore];
    steps.push({ name, actual: actual.map(String), promised: promised.map(String) });
  };
  const placeOrder = () => orders.placeOrder({ sku: "mug" });

  await take("ListProducts", ["no token", 1, 0], () => catalog.listProducts({}));
  await take("ListMyOrders, learns the nonces", ["none", 2, 2], () =>
    readAll(orders.listMyOrders({})),
  );
  await take("PlaceOrder", ["orders:write", 1, 1], placeOrder);
  await take("PlaceOrder again", ["orders:write", 1, 0], placeOrder);
  await take("UploadProducts", ["catalog:write", 1, 1], () =>
    catalog.uploadProducts(newProducts()),
  );
  shop.restart(); // with other nonces
  await take("PlaceOrder, after the shop restarts", ["orders:write", 2, 0], placeOrder);
  await issuer.replaceSigningKey();
  shop.restart(); // or it would go on for a while with the key that it knows
  await take("PlaceOrder, after the signing key changes", ["orders:write", 3, 1], placeOrder);
  return steps;
}

type Cost = readonly [scopes: string, requests: number, tokenRequests: number];

function scopesOf({ authorization }: WireRequest): string {
  if (authorization === undefined) {
    return "no token";
  }
  const [scheme, token = ""] = authorization.split(" ");
  const { scope = "none" } = decodeJwt<{ scope?: string }>(token);
  return scheme === "DPoP" ? scope : `${scheme} ${scope}`;
}

async function* newProducts() {
  yield { product: { sku: "cup", title: "A cup", priceCents: 700 } };
}

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages) {
    // the answers are not what this is about
  }
}
