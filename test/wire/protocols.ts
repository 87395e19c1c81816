import type { CallOptions, Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import type { AuthOptions, TransportOptions } from "../../src/index.js";
import {
  createMatrixServiceClient,
  type MatrixServiceClient,
} from "../gen/acme/matrix/v1/matrix_auth.js";

/** The kinds of streams that a method can have, as in the names of the methods of MatrixService. */
export type StreamKind = "Unary" | "Server" | "Client" | "Bidi";

/** The kinds of policies, as in the names of the methods of MatrixService. */
export const policyKinds = [
  "public",
  "internal",
  "requires",
  "authenticated",
  "denied",
  "unspecified",
] as const;
export type PolicyKind = (typeof policyKinds)[number];

/** A way to reach a server. */
export interface Protocol {
  readonly name: string;
  readonly httpVersion: "1.1" | "2";
  /** What the transport can do: bidi streams need HTTP/2, fetch sends no streams. */
  readonly streams: readonly StreamKind[];
  readonly createTransport: (options: TransportOptions) => Transport;
}

const allStreams = ["Unary", "Server", "Client", "Bidi"] as const;
const halfDuplexStreams = ["Unary", "Server", "Client"] as const;
const fetchStreams = ["Unary", "Server"] as const;

/** All protocols, with the transports of connect-node and connect-web. */
export const protocols: readonly Protocol[] = [
  {
    name: "Connect over HTTP/2",
    httpVersion: "2",
    streams: allStreams,
    createTransport: (options) => node.createConnectTransport({ ...options, httpVersion: "2" }),
  },
  {
    name: "gRPC over HTTP/2",
    httpVersion: "2",
    streams: allStreams,
    createTransport: (options) => node.createGrpcTransport(options),
  },
  {
    name: "gRPC-Web over HTTP/2",
    httpVersion: "2",
    streams: allStreams,
    createTransport: (options) => node.createGrpcWebTransport({ ...options, httpVersion: "2" }),
  },
  {
    name: "Connect over HTTP/1.1",
    httpVersion: "1.1",
    streams: halfDuplexStreams,
    createTransport: (options) => node.createConnectTransport({ ...options, httpVersion: "1.1" }),
  },
  {
    name: "gRPC-Web over HTTP/1.1",
    httpVersion: "1.1",
    streams: halfDuplexStreams,
    createTransport: (options) => node.createGrpcWebTransport({ ...options, httpVersion: "1.1" }),
  },
  {
    name: "Connect over fetch",
    httpVersion: "1.1",
    streams: fetchStreams,
    createTransport: web.createConnectTransport,
  },
  {
    name: "gRPC-Web over fetch",
    httpVersion: "1.1",
    streams: fetchStreams,
    createTransport: web.createGrpcWebTransport,
  },
];

/** A client of MatrixService as JavaScript sees it: with all methods, whatever the credentials. */
export function createMatrixClient(
  protocol: Protocol,
  options: TransportOptions,
  auth: AuthOptions = {},
): MatrixServiceClient {
  // The methods are there also where the type, rightly, does not show them.
  return createMatrixServiceClient(protocol.createTransport, options, auth) as MatrixServiceClient;
}

/** Calls the method of MatrixService of this policy and kind of stream, and reads the answer to its end. */
export async function callMatrix(
  client: MatrixServiceClient,
  policy: PolicyKind,
  stream: StreamKind,
  options: CallOptions = {},
): Promise<void> {
  switch (stream) {
    case "Unary":
      await client[`${policy}Unary`]({}, options);
      return;
    case "Server":
      return drain(client[`${policy}Server`]({}, options));
    case "Client":
      await client[`${policy}Client`](twoMessages(), options);
      return;
    case "Bidi":
      return drain(client[`${policy}Bidi`](twoMessages(), options));
  }
}

async function* twoMessages(): AsyncGenerator<object> {
  yield {};
  yield {};
}

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _message of messages) {
    // an error of a stream comes with a message
  }
}

/** The path of the method of MatrixService of this policy and kind of stream. */
export function matrixPath(policy: PolicyKind, stream: StreamKind): string {
  return `/acme.matrix.v1.MatrixService/${policy[0]?.toUpperCase()}${policy.slice(1)}${stream}`;
}
