import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { CallOptions, Transport } from "@connectrpc/connect";
import type { ServicePolicies, ServiceShape } from "../policy/method-policy.js";
import type { AuthTransport, Exact, Slots, TransportOptions } from "./auth-transport.js";
import type { AuthOptions } from "./credentials-interceptor.js";
import { createServiceClient, type ServiceClientArgs } from "./service-client.js";

/**
 * The client of a service, with all of its methods or those named in `M`: the
 * same as Connect's `Client<S>` or `Pick<Client<S>, M>`, and each can take the
 * place of the other. Here, what a method takes and gives is read off its
 * descriptor, where `Client` compares the descriptor with those of each kind:
 * in large projects, compilers spend most of their time on calls with that.
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

type Call<Kind, I extends DescMessage, O extends DescMessage> = Kind extends "unary"
  ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
  : Kind extends "server_streaming"
    ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
    : Kind extends "client_streaming"
      ? (
          request: AsyncIterable<MessageInitShape<I>>,
          options?: CallOptions,
        ) => Promise<MessageShape<O>>
      : Kind extends "bidi_streaming"
        ? (
            request: AsyncIterable<MessageInitShape<I>>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<O>>
        : never;

/**
 * What a generated `createXClient` is: a function that makes the client of a
 * service, from any function that makes a Connect transport, its options and
 * the credentials, or on a transport that `createAuthTransport()` made. The
 * credentials decide which type the client has:
 *
 * - `Public`: none.
 * - `User`: `credentials`.
 * - `Internal`: `internalCredentials`.
 * - `All`: both.
 */
// Comments on the signatures would hide, in editors, the one on the factory.
export interface ClientFactory<Public, User, Internal, All> {
  <O extends TransportOptions, const A extends AuthOptions = object>(
    createTransport: (options: O) => Transport,
    options: NoInfer<O>,
    auth?: Exact<A>,
  ): ClientWith<Slots<A>, Public, User, Internal, All>;
  <S extends string>(transport: AuthTransport<S>): ClientWith<S, Public, User, Internal, All>;
}

/** What a generated `createXClient` is where no method needs credentials. */
export interface PublicClientFactory<C> {
  <O extends TransportOptions>(createTransport: (options: O) => Transport, options: NoInfer<O>): C;
  (transport: AuthTransport): C;
}

/** The client that the credentials named in `S` make. */
type ClientWith<S, Public, User, Internal, All> = "credentials" extends S
  ? "internalCredentials" extends S
    ? All
    : User
  : "internalCredentials" extends S
    ? Internal
    : Public;

/**
 * What generated files call: the function that makes clients of a service from
 * its policy table. Its type is the one that the file declares.
 *
 * That function throws `TypeError` like `createAuthTransport`.
 */
export function createClientFactory<Factory extends object>(policies: AnyPolicies): Factory;
export function createClientFactory(policies: AnyPolicies): object {
  return (...args: ServiceClientArgs) => createServiceClient(policies as ServicePolicies, args);
}

/** Every table is one, and compilers need not compare its service with `DescService` to see that. */
type AnyPolicies = ServicePolicies<ServiceShape>;
