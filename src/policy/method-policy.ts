import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { checkPolicy } from "./check-tables.js";

/**
 * The roles and scopes that a caller must have been granted.
 *
 * - `roles`: at least one must match. Empty: no role is asked for.
 * - `scopes`: all must match. Empty: no scope is asked for.
 */
export interface Requirements {
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

/**
 * Who may call a method, and so what a client sends to it.
 *
 * | kind | a client sends | a server demands |
 * |---|---|---|
 * | `public` | nothing | nothing |
 * | `internal` | `internalCredentials` | an internal caller, who meets the requirements |
 * | `requires` | `credentials` | an identity that meets the requirements |
 * | `authenticated` | `credentials` | any identity |
 * | `denied` | `credentials` | nobody passes |
 * | `unspecified` | `credentials` | what the server's rules, `authorize` or `defaultPolicy` say |
 */
export type MethodPolicy =
  | { readonly kind: "public" }
  | RestrictedPolicy<"internal">
  | RestrictedPolicy<"requires">
  | { readonly kind: "authenticated" }
  | { readonly kind: "denied" }
  | { readonly kind: "unspecified" };

/** Of this kind, with requirements. Compilers check tables faster against an interface than an intersection. */
interface RestrictedPolicy<Kind> extends Requirements {
  readonly kind: Kind;
}

/** A policy as it is written in a table: lists that are left out are empty. */
export type MethodPolicyInit =
  | { readonly kind: "public" | "authenticated" | "denied" | "unspecified" }
  | ({ readonly kind: "internal" } & Partial<Requirements>)
  | ({ readonly kind: "requires" } & Partial<Requirements>);

/**
 * The policies of all methods of one service, by the method's name in
 * TypeScript. The plugin prints one for each service; `definePolicies` makes
 * one by hand.
 */
export interface ServicePolicies<S extends ServiceShape = DescService> {
  readonly service: S;
  readonly methods: { readonly [K in MethodNames<S>]: MethodPolicy };
}

/**
 * What is asked of the type of a service. Less than `DescService`, with which
 * compilers would compare each service of a project, method by method.
 */
export interface ServiceShape {
  readonly method: object;
}

/** The names of a service's methods in TypeScript. */
export type MethodNames<S extends ServiceShape> = keyof S["method"] & string;

/**
 * A policy table for a service: for services whose proto file you cannot
 * annotate, such as `grpc.health.v1.Health`. For annotated ones, use the table
 * that the plugin printed.
 *
 * Throws `TypeError` when a method of the service has no policy, or a policy
 * no method.
 *
 * ```ts
 * const HealthPolicies = definePolicies(Health, {
 *   check: { kind: "public" },
 *   watch: { kind: "requires", roles: ["operator"] },
 * });
 * ```
 */
export function definePolicies<S extends DescService>(
  service: S,
  methods: { readonly [K in MethodNames<S>]: MethodPolicyInit },
): ServicePolicies<S> {
  const names = service.methods.map((method) => method.localName as MethodNames<S>);
  if (String(Object.keys(methods).sort()) !== String([...names].sort())) {
    throw new TypeError(
      `policies for ${service.typeName} must name exactly its methods: ${names.join(", ")}`,
    );
  }
  for (const name of names) {
    checkPolicy(`policies for ${service.typeName}, ${name}`, methods[name]);
  }
  return {
    service,
    // fromEntries also keeps a method named "__proto__" an ordinary property
    methods: Object.fromEntries(
      names.map((name) => [name, completePolicy(methods[name])]),
    ) as ServicePolicies<S>["methods"],
  };
}

function completePolicy(init: MethodPolicyInit): MethodPolicy {
  return init.kind === "internal" || init.kind === "requires"
    ? { kind: init.kind, roles: init.roles ?? [], scopes: init.scopes ?? [] }
    : init;
}

/** The name of a method as policies, patterns and messages write it: `package.Service/Method`. */
export function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
