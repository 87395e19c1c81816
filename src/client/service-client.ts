import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { MethodNames, ServicePolicies } from "../policy/method-policy.js";
import { type AuthTransport, makeTransport, type TransportOptions } from "./auth-transport.js";
import type { AuthOptions } from "./credentials-interceptor.js";

/**
 * What generated factories take first: a transport that has credentials, or a
 * function that makes a transport of the options that follow it.
 */
export type ServiceTransport = AuthTransport | ((options: never) => Transport);

/**
 * What generated `createXClient` factories call: makes the client of a service
 * from its policy table. Use the factories, whose types say which methods the
 * credentials reach.
 *
 * Throws `TypeError` like `createAuthTransport`.
 */
export function createServiceClient<S extends DescService>(
  policies: ServicePolicies<S>,
  transport: ServiceTransport,
  options?: TransportOptions,
  auth: AuthOptions = {},
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
  if (!("addPolicies" in Object(transport))) {
    throw new TypeError("pass options, or an AuthTransport");
  }
  const shared = transport as AuthTransport;
  shared.addPolicies(policies);
  return createClient(policies.service, shared);
}
