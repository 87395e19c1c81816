import type { DescMessage, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import type { MethodNames, ServicePolicies, ServiceShape } from "../policy/method-policy.js";
import { type AuthTransport, makeTransport, type TransportOptions } from "./auth-transport.js";
import type { AuthOptions } from "./credentials-interceptor.js";

/**
 * The client of a generated service, with all of its methods or those named in
 * `M`: the same type as Connect's `Client<S>` or `Pick<Client<S>, M>`. What a
 * method takes and gives is read off its descriptor here, where `Client`
 * compares the descriptor with those of each kind: compilers need less time for
 * the calls of a large project.
 */
export type ServiceClient<
  S extends ServiceShape,
  M extends keyof S["method"] = keyof S["method"],
> = {
  [P in M]: S["method"][P] extends MethodShape
    ? Call<S["method"][P]["methodKind"], S["method"][P]["input"], S["method"][P]["output"]>
    : never;
};

interface MethodShape {
  readonly methodKind: string;
  readonly input: DescMessage;
  readonly output: DescMessage;
}

/** In brackets, a kind that is not known makes `never` of it, as in `Client`, and no union. */
type Call<Kind, I extends DescMessage, O extends DescMessage> = [Kind] extends ["unary"]
  ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
  : [Kind] extends ["server_streaming"]
    ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
    : [Kind] extends ["client_streaming"]
      ? (
          request: AsyncIterable<MessageInitShape<I>>,
          options?: CallOptions,
        ) => Promise<MessageShape<O>>
      : [Kind] extends ["bidi_streaming"]
        ? (
            request: AsyncIterable<MessageInitShape<I>>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<O>>
        : never;

/**
 * What generated factories take: a function that makes a transport, its
 * options and the credentials, or a transport that has credentials. One tuple,
 * and none for each case: compilers compare it with the signatures of each factory.
 */
export type ServiceClientArgs = [
  transport: AuthTransport | ((options: never) => Transport),
  options?: TransportOptions | undefined,
  auth?: AuthOptions | undefined,
];

/**
 * What generated `createXClient` factories call: makes the client of a service
 * from its policy table. Use the factories, whose types say which methods the
 * credentials reach.
 *
 * Throws `TypeError` like `createAuthTransport`.
 */
// generated files call this for each service, and compilers would compare it with `DescService`, method by method
export function createServiceClient<S extends ServiceShape>(
  policies: ServicePolicies<S>,
  args: ServiceClientArgs,
): ServiceClient<S>;
export function createServiceClient<S extends DescService>(
  policies: ServicePolicies<S>,
  [transport, options, auth = {}]: ServiceClientArgs,
): Client<S> {
  if (options) {
    // the types of the factories see to it that the function takes these options
    const createTransport = transport as (options: TransportOptions) => Transport;
    const made = makeTransport(
      createTransport,
      options,
      auth,
      ({ localName }) => policies.methods[localName as MethodNames<S>],
    );
    return createClient(policies.service, made);
  }
  if (typeof transport === "function" || !("addPolicies" in Object(transport))) {
    throw new TypeError("pass options, or an AuthTransport");
  }
  transport.addPolicies(policies);
  return createClient(policies.service, transport);
}
