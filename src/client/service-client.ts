import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { ServicePolicies } from "../policy/method-policy.js";
import { type AuthTransport, makeAuthTransport, type TransportOptions } from "./auth-transport.js";
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
  const transport = args.length === 1 ? args[0] : transportOf(...args);
  if (typeof transport?.addPolicies !== "function") {
    throw new TypeError(
      `the client of ${policies.service.typeName} takes a transport factory with its options, or one transport made by createAuthTransport()`,
    );
  }
  transport.addPolicies(policies);
  return createClient(policies.service, transport);
}

function transportOf(
  createTransport: (options: never) => Transport,
  options: TransportOptions,
  auth: AuthOptions = {},
): AuthTransport | undefined {
  if (typeof createTransport !== "function") {
    return undefined;
  }
  // The types of the factories see to it that the function takes these options.
  const factory = createTransport as (options: TransportOptions) => Transport;
  return makeAuthTransport(factory, options, auth);
}
