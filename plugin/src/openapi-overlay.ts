import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { MethodPolicy } from "../../src/policy/method-policy.js";
import { compareText } from "./compare-text.js";
import type { JsonObject } from "./document-text.js";
import {
  annotatedSchemes,
  annotatedSecurity,
  type SecurityRequirement,
} from "./openapi-annotations.js";
import type { Slot } from "./reach.js";
import type { FileRules, MethodRules } from "./read-policies.js";

/** Changes to an OpenAPI document, applied in order (Overlay Specification 1.0.0). */
export interface Overlay extends JsonObject {
  readonly overlay: "1.0.0";
  readonly info: { readonly title: string; readonly version: string };
  readonly actions: readonly OverlayAction[];
}

/** One change: what to merge into the objects at `target`, or that what is there goes. */
export type OverlayAction =
  | { readonly target: string; readonly update: JsonObject }
  | { readonly target: string; readonly remove: true };

/**
 * The overlay that adds the access rules to documents of
 * protoc-gen-connect-openapi. `undefined` without methods: an overlay has at
 * least one action.
 */
export function openapiOverlay(files: readonly FileRules[]): Overlay | undefined {
  const methods = [...files]
    .sort((a, b) => compareText(a.file.proto.name, b.file.proto.name))
    .flatMap(({ services }) => services.flatMap((service) => service.methods));
  if (methods.length === 0) {
    return undefined;
  }
  return {
    overlay: "1.0.0",
    info: { title: "Access rules", version: "1.0.0" },
    actions: [...defineSchemes(files, methods), ...methods.flatMap(secureOperations)],
  };
}

/** A member that tells all of the policy: OpenAPI knows no "one of these roles", and no "nobody". */
const extension = "x-connectrpc-auth";

const schemes: Readonly<Record<Slot, JsonObject>> = {
  credentials: {
    type: "http",
    scheme: "bearer",
    description: "The credentials of a user or service.",
  },
  internalCredentials: {
    type: "http",
    scheme: "bearer",
    description: "The credentials of another service of the same system.",
  },
};

/** Defines the schemes that are used and not defined in a proto file. */
function defineSchemes(
  files: readonly FileRules[],
  methods: readonly MethodRules[],
): OverlayAction[] {
  const defined = new Set(files.flatMap(({ file }) => annotatedSchemes(file)));
  const used = new Set(
    methods.flatMap(securityOf).flatMap((requirement) => [...requirement.keys()]),
  );
  const slots = (["credentials", "internalCredentials"] as const).filter(
    (slot) => used.has(slot) && !defined.has(slot),
  );
  const securitySchemes = Object.fromEntries(slots.map((slot) => [slot, schemes[slot]]));
  return slots.length > 0 ? [{ target: "$", update: { components: { securitySchemes } } }] : [];
}

/**
 * Sets the security of a method's operations. What was there goes first:
 * merging would append to a list, and a second run would double it.
 */
function secureOperations(rules: MethodRules): OverlayAction[] {
  const target = operationsOf(rules.method);
  const security = securityOf(rules).map((requirement) => Object.fromEntries(requirement));
  return [
    { target: `${target}['security','${extension}']`, remove: true },
    { target, update: { security, [extension]: { ...rules.policy } } },
  ];
}

/** A JSONPath (RFC 9535). Names of services and methods have no character that it would have to escape. */
function operationsOf(method: DescMethod): string {
  const path = `$.paths['/${method.parent.typeName}/${method.name}']`;
  return hasGet(method) ? `${path}['get','post']` : `${path}.post`;
}

/** Whether Connect serves a method with HTTP GET, too. */
function hasGet({ idempotency, methodKind }: DescMethod): boolean {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS && methodKind === "unary";
}

/** The ways to call a method: those in its annotation, else the credentials that our clients send. */
function securityOf({ method, policy }: MethodRules): SecurityRequirement[] {
  const annotated = annotatedSecurity(method);
  return annotated.length > 0
    ? annotated.map((requirement) => withScopes(requirement, policy))
    : securityOfPolicy(policy);
}

function securityOfPolicy(policy: MethodPolicy): SecurityRequirement[] {
  switch (policy.kind) {
    case "public":
      return [];
    case "internal":
      return [new Map([["internalCredentials", policy.scopes]])];
    case "requires":
      return [new Map([["credentials", policy.scopes]])];
    case "authenticated":
    case "denied":
    case "unspecified":
      return [new Map([["credentials", []]])];
  }
}

/** Adds the scopes where the annotation names one scheme and says nothing of scopes. */
function withScopes(requirement: SecurityRequirement, policy: MethodPolicy): SecurityRequirement {
  const [only, ...others] = requirement;
  const mayAdd = only !== undefined && others.length === 0 && only[1].length === 0;
  return mayAdd && "scopes" in policy ? new Map([[only[0], policy.scopes]]) : requirement;
}
