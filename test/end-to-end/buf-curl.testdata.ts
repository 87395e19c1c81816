import { Code } from "@connectrpc/connect";

/** One call of `buf curl` to the shop of the example. */
export interface CurlCase {
  readonly method: string;
  readonly as: "nobody" | "customer" | "admin" | "forger" | "service";
  /** The messages that are sent. Left out: an empty one. */
  readonly data?: readonly object[];
  /** The last message that comes back, in part, or the error. */
  readonly want: { readonly message: object } | Refusal;
}

/** How a call is refused. */
export interface Refusal {
  readonly code: Code;
  readonly text: string;
}

const missing: Refusal = { code: Code.Unauthenticated, text: "missing credentials" };
const invalid: Refusal = { code: Code.Unauthenticated, text: "invalid token" };
const denied: Refusal = { code: Code.PermissionDenied, text: "access denied" };

const pen = { product: { sku: "pen", title: "A pen", priceCents: 250 } };
const questions = [{ question: "When?" }, { question: "Where?" }];

/** By the policies in example/proto: public, requires, denied, authenticated, internal, unspecified. */
export const curlCases: readonly CurlCase[] = [
  {
    method: "CatalogService/ListProducts",
    as: "nobody",
    want: { message: { products: [{ sku: "mug" }, { sku: "pen" }] } },
  },
  {
    method: "CatalogService/ListProducts",
    as: "customer",
    want: { message: { products: [{ sku: "mug" }, { sku: "pen" }] } },
  },
  {
    method: "CatalogService/WatchPrice",
    as: "nobody",
    data: [{ sku: "pen" }],
    want: { message: { priceCents: 250 } },
  },
  { method: "CatalogService/SetPrice", as: "nobody", want: missing },
  { method: "CatalogService/SetPrice", as: "forger", want: invalid },
  { method: "CatalogService/SetPrice", as: "customer", want: denied },
  {
    method: "CatalogService/SetPrice",
    as: "admin",
    data: [{ sku: "mug", priceCents: 700 }],
    want: { message: { product: { sku: "mug", priceCents: 700 } } },
  },
  { method: "CatalogService/UploadProducts", as: "nobody", data: [pen, pen], want: missing },
  { method: "CatalogService/UploadProducts", as: "customer", data: [pen, pen], want: denied },
  {
    method: "CatalogService/UploadProducts",
    as: "admin",
    data: [pen, pen],
    want: { message: { count: 2 } },
  },
  { method: "CatalogService/ClearCatalog", as: "nobody", want: missing },
  { method: "CatalogService/ClearCatalog", as: "admin", want: denied },
  { method: "OrderService/PlaceOrder", as: "nobody", want: missing },
  { method: "OrderService/PlaceOrder", as: "admin", want: denied },
  {
    method: "OrderService/PlaceOrder",
    as: "customer",
    data: [{ sku: "mug" }],
    want: { message: { order: { customer: "customer", sku: "mug" } } },
  },
  { method: "OrderService/AskSupport", as: "nobody", data: questions, want: missing },
  { method: "OrderService/AskSupport", as: "forger", data: questions, want: invalid },
  {
    method: "OrderService/AskSupport",
    as: "customer",
    data: questions,
    want: { message: { answer: 'Dear customer, we are looking into "Where?"' } },
  },
  { method: "OrderService/ReserveStock", as: "nobody", want: missing },
  { method: "OrderService/ReserveStock", as: "admin", want: missing },
  {
    method: "OrderService/ReserveStock",
    as: "service",
    want: { message: { reservedBy: "warehouse" } },
  },
  { method: "OrderService/RefundOrder", as: "service", want: denied },
  { method: "ReportService/ExportSales", as: "nobody", want: missing },
  { method: "ReportService/ExportSales", as: "customer", want: denied },
];
