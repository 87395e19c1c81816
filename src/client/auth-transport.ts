import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { isConstant } from "../credentials/ask-for-auth.js";
import { staticHeaders } from "../credentials/auth-headers.js";
import type { Credentials } from "../credentials/auth-provider.js";
import { checkOption } from "../errors.js";
import { checkNoOthers } from "../known-options.js";
import type { MethodPolicy, ServicePolicies } from "../policy/method-policy.js";
import { createPolicyLookup } from "../policy/policy-lookup.js";
import { resolveMethodPolicy } from "../policy/resolve-method-auth.js";
import { type AuthOptions, createCredentialsInterceptor } from "./credentials-interceptor.js";
import { createTargetGuard, parseUrl } from "./guards.js";

/** What every transport factory of Connect takes, beside options of its own. */
export interface TransportOptions {
  /** Where the servers are. Credentials go to the origin of this URL only. */
  baseUrl: string;
  /** They wrap the credentials: they do not see them. */
  interceptors?: Interceptor[];
  /** Known to Connect transports: methods without side effects go as GET. */
  useHttpGet?: boolean;
}

/** The two places for credentials in `AuthOptions`. */
export type Slot = "credentials" | "internalCredentials";

/** Which credentials an options object holds for certain. */
export type Slots<A> = {
  [K in Slot]: K extends keyof A ? (undefined extends A[K] ? never : K) : never;
}[Slot];

/**
 * `AuthOptions` without keys that it does not have, and without credentials
 * that may be `undefined`; `undefined` in place of options is none. Conditional,
 * so that the compiler infers `A` from the argument, but compares the argument
 * with `AuthOptions` and complains of that.
 */
export type Exact<A extends AuthOptions | undefined> = A extends undefined
  ? undefined
  : [A] extends [AuthOptions]
    ? Certain<MaybeUndefined<A>> & Known<keyof A>
    : A;

/** `AuthOptions` in which these credentials are not left out. */
type Certain<K extends Slot> = [K] extends [never]
  ? AuthOptions
  : Omit<AuthOptions, K> & { [P in K]: Credentials };

/** Credentials that are given, but as `undefined` perhaps. An optional one is simply left out. */
type MaybeUndefined<A> = {
  [K in keyof A & Slot]: undefined extends A[K] ? (object extends Pick<A, K> ? never : K) : never;
}[keyof A & Slot];

/** In a literal the compiler finds an unknown key by itself, and proposes another; this is for variables. */
type Known<K> = [Exclude<K, keyof AuthOptions>] extends [never]
  ? unknown
  : UnknownOption<Exclude<K, keyof AuthOptions>>;

declare const unknownOption: unique symbol;

interface UnknownOption<K> {
  readonly [unknownOption]: K;
}

/**
 * A transport that attaches credentials. `S` names those it holds, and so
 * decides which methods a generated client made with it has.
 */
export interface AuthTransport<S extends string = never> extends Transport {
  /** The credentials this transport holds. */
  readonly slots: { readonly [K in S]: true };
  /**
   * Makes a policy table known, for a service without options in its proto
   * file. Generated factories do it by themselves.
   */
  addPolicies(table: ServicePolicies): void;
}

/**
 * One transport with credentials for the clients of many services. Takes any
 * function that makes a Connect transport, its options, and the credentials.
 *
 * Throws `TypeError` for a `baseUrl` that is no URL, an unknown option, and a
 * constant credential that cannot be sent.
 *
 * ```ts
 * import { createConnectTransport } from "@connectrpc/connect-web";
 * import { Auth, createAuthTransport } from "connectrpc-auth";
 * import { createOrderServiceClient } from "./gen/acme/shop/v1/order_auth.js";
 * import { createUserServiceClient } from "./gen/acme/user/v1/user_auth.js";
 *
 * const transport = createAuthTransport(createConnectTransport, { baseUrl: "https://api.acme.dev" }, {
 *   credentials: async () => Auth.jwt(await session.accessToken()),
 * });
 * const users = createUserServiceClient(transport);
 * const orders = createOrderServiceClient(transport);
 * ```
 */
export function createAuthTransport<
  O extends TransportOptions,
  const A extends AuthOptions | undefined,
>(
  createTransport: (options: O) => Transport,
  options: NoInfer<O>,
  auth: Exact<A>,
): AuthTransport<Slots<A>>;
/** One transport for the clients of many services, without credentials: for public methods. */
export function createAuthTransport<O extends TransportOptions>(
  createTransport: (options: O) => Transport,
  options: NoInfer<O>,
): AuthTransport;
export function createAuthTransport<O extends TransportOptions, A>(
  createTransport: (options: O) => Transport,
  options: O,
  auth?: AuthOptions,
): AuthTransport<Slots<A>> {
  const given = auth ?? {};
  const tables = createPolicyLookup();
  const transport = makeTransport(createTransport, options, given, (method) => {
    return tables.get(method) ?? resolveMethodPolicy(method);
  });
  const slots: { [K in Slot]?: true } = {};
  for (const slot of slotNames) {
    if (given[slot] !== undefined) {
      slots[slot] = true;
    }
  }
  return {
    unary: (...call) => transport.unary(...call),
    stream: (...call) => transport.stream(...call),
    slots: slots as { [K in Slots<A>]: true },
    addPolicies: tables.add,
  };
}

const slotNames = ["credentials", "internalCredentials"] as const;

/**
 * A transport that attaches credentials by the policies it is told. Generated
 * clients have their table at hand: with this they do without the reader of
 * proto options, and bundles without its schema.
 */
export function makeTransport<O extends TransportOptions>(
  createTransport: (options: O) => Transport,
  options: O,
  auth: AuthOptions,
  policyOf: (method: DescMethod) => MethodPolicy,
): Transport {
  const { credentials, internalCredentials, sendOnPublic, allowInsecureTransport, ...others } =
    auth;
  checkNoOthers("auth", others);
  for (const [slot, given] of Object.entries({ credentials, internalCredentials })) {
    if (given !== undefined && isConstant(given)) {
      checkOption(slot, () => staticHeaders(given));
    }
  }
  const interceptor = createCredentialsInterceptor({
    auth,
    policyOf,
    checkTarget: createTargetGuard(options?.baseUrl, allowInsecureTransport === true),
    useHttpGet: options.useHttpGet === true,
  });
  return createTransport({
    ...options,
    // a whole URL, also where it is a path: DPoP proofs are for one
    baseUrl: String(parseUrl(options.baseUrl)),
    // the last one is innermost
    interceptors: [...(options.interceptors ?? []), interceptor],
  });
}
