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
  | [transport: AuthTransport, options?: undefined, auth?: undefined];

/**
 * What generated `createXClient` factories call: makes the client of a service
 * from its policy table. Use the factories, whose types say which methods the
 * credentials reach.
 *
 * Throws `TypeError` like `createAuthTransport`.
 */
export function createServiceClient<S extends DescService>(
  policies: ServicePolicies<S>,
  [base, options, auth = {}]: ServiceClientArgs,
): Client<S> {
  let transport: Transport;
  if (options) {
    // the types of the factories see to it that the function takes these options
    const createTransport = base as (options: TransportOptions) => Transport;
    transport = makeTransport(
      createTransport,
      options,
      auth,
      ({ localName }) => policies.methods[localName as MethodNames<S>],
    );
  } else if ("addPolicies" in Object(base)) {
    base.addPolicies(policies);
    transport = base;
  } else {
    throw new TypeError("pass options, or an AuthTransport");
  }
  return createClient(policies.service, transport);
}
