/*
 * What compiles and what does not. After `@ts-expect-error` stands what the
 * newest compiler says, in one line, with … for what is not ours; types.test.ts
 * compares.
 */
import type { DescService } from "@bufbuild/protobuf";
import type { Client, Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import {
  Auth,
  type AuthOptions,
  type AuthProvider,
  type AuthTransport,
  type CredentialSource,
  createAuthTransport,
  createServiceClient,
  type ServiceClient,
  type ServiceClientArgs,
  type TransportOptions,
} from "connectrpc-auth";
import { createJwtAuthInterceptor, createServerAuth } from "connectrpc-auth/server";
import { inMemory } from "connectrpc-auth/testing";
import type {
  MatrixServiceClient,
  MatrixServicePublicClient,
} from "../gen/acme/matrix/v1/matrix_auth.js";
import type { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";
import { createNewsServiceClient, NewsServicePolicies } from "../gen/acme/news/v1/news_auth.js";
import { createPlainServiceClient } from "../gen/acme/plain/v1/plain_auth.js";
import {
  createUserServiceClient,
  type UserServiceClient,
  type UserServiceInternalClient,
  UserServicePolicies,
  type UserServicePublicClient,
  type UserServiceUserClient,
} from "../gen/acme/user/v1/user_auth.js";
import type { UserService } from "../gen/acme/user/v1/user_pb.js";

const options = { baseUrl: "https://api.test" };
const jwt = Auth.jwt("token");
declare const maybe: Auth | undefined;
declare const optional: { credentials?: Auth };
declare const perhaps: { credentials: Auth } | undefined;
declare const anyOptions: AuthOptions;
declare const provider: AuthProvider;
declare const source: CredentialSource;
declare const plainTransport: Transport;
declare const ownFactory: (options: TransportOptions & { region: string }) => Transport;

// Without credentials: public methods only.
const nobody = createUserServiceClient(web.createConnectTransport, options);
nobody satisfies UserServicePublicClient;
nobody.getProfile({});
// @ts-expect-error Property 'deleteUser' does not exist on type 'UserServicePublicClient'.
nobody.deleteUser({});
// @ts-expect-error Property 'reindex' does not exist on type 'UserServicePublicClient'.
nobody.reindex({});
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServicePublicClient'.
createUserServiceClient(web.createConnectTransport, options, {}).whoAmI({});
// @ts-expect-error Property 'open' does not exist on type 'PlainServicePublicClient'.
createPlainServiceClient(web.createConnectTransport, options).open({});

// With `credentials`: no internal methods.
const user = createUserServiceClient(web.createConnectTransport, options, { credentials: jwt });
user satisfies UserServiceUserClient;
user.getProfile({});
user.deleteUser({});
user.whoAmI({});
// @ts-expect-error Property 'reindex' does not exist on type 'UserServiceUserClient'.
user.reindex({});
createPlainServiceClient(web.createConnectTransport, options, { credentials: jwt }).open({});

// With `internalCredentials`: public and internal methods.
const service = createUserServiceClient(web.createConnectTransport, options, {
  internalCredentials: Auth.gateway({ secret: "secret", subject: "billing" }),
});
service satisfies UserServiceInternalClient;
service.getProfile({});
service.reindex({});
// @ts-expect-error Property 'deleteUser' does not exist on type 'UserServiceInternalClient'.
service.deleteUser({});

// With both: everything.
const everything = createUserServiceClient(web.createConnectTransport, options, {
  credentials: async ({ reason, policy }) => Auth.jwt(`${reason} ${policy.kind}`),
  internalCredentials: { getAuth: ({ method }) => Auth.jwt(method.name) },
  allowInsecureTransport: true,
  sendOnPublic: "if-available",
});
everything satisfies UserServiceClient;
everything.deleteUser({});
everything.reindex({});
createUserServiceClient(web.createConnectTransport, options, { credentials: provider }).whoAmI({});
createUserServiceClient(web.createConnectTransport, options, { credentials: source }).whoAmI({});

// Credentials that are perhaps not there do not count.
createUserServiceClient(web.createConnectTransport, options, optional).getProfile({});
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServicePublicClient'.
createUserServiceClient(web.createConnectTransport, options, optional).whoAmI({});
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServicePublicClient'.
createUserServiceClient(web.createConnectTransport, options, anyOptions).whoAmI({});
createUserServiceClient(web.createConnectTransport, options, perhaps).getProfile({});
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServicePublicClient'.
createUserServiceClient(web.createConnectTransport, options, perhaps).whoAmI({});
const oneOf = perhaps ? { credentials: jwt } : { internalCredentials: jwt };
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServicePublicClient'.
createUserServiceClient(web.createConnectTransport, options, oneOf).whoAmI({});
createAuthTransport(web.createConnectTransport, options, perhaps) satisfies AuthTransport;
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServicePublicClient'.
createUserServiceClient(createAuthTransport(web.createConnectTransport, options, perhaps)).whoAmI();

// Wrong credentials.
createUserServiceClient(web.createConnectTransport, options, {
  // @ts-expect-error Object literal may only specify known properties, but 'credential' does not exist in type 'AuthOptions'. Did you mean to write 'credentials'?
  credential: jwt,
});
createUserServiceClient(web.createConnectTransport, options, {
  credentials: jwt,
  // @ts-expect-error Object literal may only specify known properties, but 'internalCredential' does not exist in type 'AuthOptions & UnknownOption<"internalCredential">'. Did you mean to write 'internalCredentials'?
  internalCredential: jwt,
});
const misspelt = { credentials: jwt, internalCredential: jwt };
// Two lines, the second names `internalCredential`: only in literals does the compiler look for it.
// @ts-expect-error Argument of type '{ credentials: JwtAuth; internalCredential: JwtAuth; }' is not assignable to parameter of type 'AuthOptions & UnknownOption<"internalCredential">'.
createUserServiceClient(web.createConnectTransport, options, misspelt);
createUserServiceClient(web.createConnectTransport, options, {
  // @ts-expect-error Object literal may only specify known properties, and 'tokn' does not exist in type 'AuthProvider | CredentialSource | JwtAuth'.
  credentials: { type: "jwt", tokn: "token" },
});
createUserServiceClient(web.createConnectTransport, options, {
  // @ts-expect-error Type 'string' is not assignable to type 'Credentials | undefined'.
  credentials: "token",
});
createUserServiceClient(web.createConnectTransport, options, {
  // @ts-expect-error Type 'undefined' is not assignable to type 'Credentials'.
  credentials: undefined,
});
createUserServiceClient(web.createConnectTransport, options, {
  // Two lines: the second says which part of the union it is.
  // @ts-expect-error Type 'Auth | undefined' is not assignable to type 'Credentials'.
  credentials: maybe,
});
createUserServiceClient(web.createConnectTransport, options, {
  credentials: jwt,
  // Two lines, as above.
  // @ts-expect-error Type 'Auth | undefined' is not assignable to type 'Credentials'.
  internalCredentials: maybe,
});
createUserServiceClient(web.createConnectTransport, options, {
  // Several lines: the compiler goes through what a function returns.
  // @ts-expect-error Type '() => string' is not assignable to type 'Credentials | undefined'.
  credentials: () => "token",
});
createUserServiceClient(web.createConnectTransport, options, {
  // Several lines, as above.
  // @ts-expect-error Type '() => Auth | undefined' is not assignable to type 'Credentials | undefined'.
  credentials: () => maybe,
});
createUserServiceClient(web.createConnectTransport, options, {
  // @ts-expect-error Type '"always"' is not assignable to type '"if-available" | "never" | undefined'.
  sendOnPublic: "always",
});

// Every factory of connect-web and connect-node, and a user's own.
createUserServiceClient(web.createGrpcWebTransport, options);
createUserServiceClient(web.createConnectTransport, { ...options, useHttpGet: true });
createUserServiceClient(node.createConnectTransport, { ...options, httpVersion: "1.1" });
createUserServiceClient(node.createConnectTransport, { ...options, httpVersion: "2" });
createUserServiceClient(node.createGrpcTransport, options);
createUserServiceClient(node.createGrpcTransport, { ...options, pingIntervalMs: 1000 });
createUserServiceClient(node.createGrpcWebTransport, { ...options, httpVersion: "1.1" });
createUserServiceClient(node.createGrpcWebTransport, { ...options, httpVersion: "2" });
createUserServiceClient(ownFactory, { ...options, region: "eu" });
createUserServiceClient(
  inMemory(() => {}),
  options,
);
// @ts-expect-error Object literal may only specify known properties, but 'baseURL' does not exist in type 'ConnectTransportOptions'. Did you mean to write 'baseUrl'?
createUserServiceClient(web.createConnectTransport, { baseURL: "https://api.test" });
// @ts-expect-error Object literal may only specify known properties, but 'baseURL' does not exist in type 'GrpcWebTransportOptions'. Did you mean to write 'baseUrl'?
createUserServiceClient(web.createGrpcWebTransport, { baseURL: "https://api.test" });
// @ts-expect-error Object literal may only specify known properties, but 'baseURL' does not exist in type 'GrpcTransportOptions'. Did you mean to write 'baseUrl'?
createUserServiceClient(node.createGrpcTransport, { baseURL: "https://api.test" });
// @ts-expect-error Object literal may only specify known properties, but 'baseURL' does not exist in type …. Did you mean to write 'baseUrl'?
createUserServiceClient(node.createConnectTransport, { httpVersion: "2", baseURL: "https://a" });
// @ts-expect-error Object literal may only specify known properties, but 'baseURL' does not exist in type …. Did you mean to write 'baseUrl'?
createUserServiceClient(node.createGrpcWebTransport, { httpVersion: "2", baseURL: "https://a" });
// @ts-expect-error Object literal may only specify known properties, and 'credentials' does not exist in type 'ConnectTransportOptions'.
createUserServiceClient(web.createConnectTransport, { ...options, credentials: jwt });
// @ts-expect-error Type 'number' is not assignable to type 'string'.
createUserServiceClient(web.createConnectTransport, { baseUrl: 443 });

// One transport for the clients of many services.
const shared = createAuthTransport(node.createGrpcTransport, options, { credentials: jwt });
shared satisfies AuthTransport<"credentials">;
createUserServiceClient(shared).deleteUser({});
createNewsServiceClient(shared).getHeadline({});
createPlainServiceClient(shared).open({});
// @ts-expect-error Property 'reindex' does not exist on type 'UserServiceUserClient'.
createUserServiceClient(shared).reindex({});
const internal = createAuthTransport(node.createGrpcTransport, options, {
  internalCredentials: jwt,
});
createUserServiceClient(internal).reindex({});
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServiceInternalClient'.
createUserServiceClient(internal).whoAmI({});
const open = createAuthTransport(web.createConnectTransport, options);
createUserServiceClient(open).getProfile({});
// @ts-expect-error Property 'whoAmI' does not exist on type 'UserServicePublicClient'.
createUserServiceClient(open).whoAmI({});
// @ts-expect-error Object literal may only specify known properties, but 'baseURL' does not exist in type 'ConnectTransportOptions'. Did you mean to write 'baseUrl'?
createAuthTransport(web.createConnectTransport, { baseURL: "https://api.test" });
// @ts-expect-error Object literal may only specify known properties, but 'credential' does not exist in type 'AuthOptions'. Did you mean to write 'credentials'?
createAuthTransport(web.createConnectTransport, options, { credential: jwt });
// @ts-expect-error Type 'Transport' is missing the following properties from type 'AuthTransport<string>': slots, addPolicies
createUserServiceClient(plainTransport);
// @ts-expect-error Type 'Transport' is missing the following properties from type 'AuthTransport<never>': slots, addPolicies
createNewsServiceClient(plainTransport);
// @ts-expect-error Argument of type '(options: ConnectTransportOptions) => Transport' is not assignable to parameter of type 'AuthTransport<string>'.
createUserServiceClient(web.createConnectTransport);

// A service of public methods takes no credentials.
createNewsServiceClient(web.createConnectTransport, options).getHeadline({});
// @ts-expect-error Expected 1-2 arguments, but got 3.
createNewsServiceClient(web.createConnectTransport, options, { credentials: jwt });

// Clients are those of Connect: unary and all kinds of streams, none more and none less.
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? "same" : "different";
"same" satisfies Same<MatrixServiceClient, Client<typeof MatrixService>>;
"same" satisfies Same<
  MatrixServicePublicClient,
  Pick<Client<typeof MatrixService>, keyof MatrixServicePublicClient>
>;
"different" satisfies Same<MatrixServicePublicClient, Client<typeof MatrixService>>;
"same" satisfies Same<ServiceClient<DescService>, Client<DescService>>;
declare const connectClient: Client<typeof MatrixService>;
connectClient satisfies MatrixServiceClient;
declare const matrixClient: MatrixServiceClient;
matrixClient satisfies Client<typeof MatrixService>;

// Files of 0.1.0 have factories of their own.
function createOldClient<S extends string>(transport: AuthTransport<S>): Client<typeof UserService>;
function createOldClient(...args: ServiceClientArgs): object {
  return createServiceClient(UserServicePolicies, args);
}
createOldClient(shared).deleteUser({});

// Servers.
createServerAuth({
  policies: [NewsServicePolicies],
  authenticate: createJwtAuthInterceptor({ secret: "s".repeat(32), algorithms: ["HS256"] }),
});
createServerAuth({
  policies: [NewsServicePolicies],
  authenticate: createJwtAuthInterceptor({
    // @ts-expect-error Object literal may only specify known properties, but 'jwksUrl' does not exist in type 'JwtAuthInterceptorOptions'. Did you mean to write 'jwksUri'?
    jwksUrl: "https://auth.test/jwks.json",
  }),
});
