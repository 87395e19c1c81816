import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { MethodNames, ServicePolicies } from "../policy/method-policy.js";
import { type AuthTransport, makeTransport, type TransportOptions } from "./auth-transport.js";
import type { AuthOptions } from "./credentials-interceptor.js";

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
