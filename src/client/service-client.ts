import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { MethodNames, ServicePolicies } from "../policy/method-policy.js";
import { type AuthTransport, makeTransport, type TransportOptions } from "./auth-transport.js";
import type { AuthOptions } from "./credentials-interceptor.js";

/**
 * What generated factories take: a function that makes a transport, its
 * options and the credentials, or a transport that has credentials.
 */
export type ServiceClientArgs =
  | [
      createTransport: (options: never) => Transport,
      options: TransportOptions,
      auth?: AuthOptions | undefined,
    ]
  | [transport: AuthTransport];

/**
 * What generated `createXClient` factories call: makes the client of a service
 * from its policy table. Use the factories, whose types say which methods the
 * credentials reach.
 *
 * Throws `TypeError` like `createAuthTransport`.
 */
export function createServiceClient<S extends DescService>(
  policies: ServicePolicies<S>,
  args: ServiceClientArgs,
): Client<S> {
  const transport = args.length === 1 ? knowing(policies, args[0]) : transportOf(policies, ...args);
  if (transport === undefined) {
    throw new TypeError(
      `the client of ${policies.service.typeName} takes a transport factory with its options, or one transport made by createAuthTransport()`,
    );
  }
  return createClient(policies.service, transport);
}

function knowing(policies: ServicePolicies, transport: AuthTransport): Transport | undefined {
  if (typeof transport?.addPolicies !== "function") {
    return undefined;
  }
  transport.addPolicies(policies);
  return transport;
}

function transportOf<S extends DescService>(
  { methods }: ServicePolicies<S>,
  createTransport: (options: never) => Transport,
  options: TransportOptions,
  auth: AuthOptions = {},
): Transport | undefined {
  if (typeof createTransport !== "function") {
    return undefined;
  }
  // The types of the factories see to it that the function takes these options.
  const factory = createTransport as (options: TransportOptions) => Transport;
  return makeTransport(
    factory,
    options,
    auth,
    ({ localName }) => methods[localName as MethodNames<S>],
  );
}
