import type { GeneratedFile, ImportSymbol, Printable } from "@bufbuild/protoplugin";
import type { MethodPolicy } from "../../src/policy/method-policy.js";
import { type Comments, docText, withDeprecation } from "./doc-text.js";
import type { ExportNames } from "./names.js";
import type { Reach } from "./reach.js";
import type { ServiceRules } from "./read-policies.js";
import { visibleText } from "./visible-text.js";

/** What is printed: TypeScript, JavaScript, or the declarations for JavaScript. */
export type Target = "ts" | "js" | "dts";

/** How the files of a target end. */
export const extensions: Readonly<Record<Target, string>> = { ts: ".ts", js: ".js", dts: ".d.ts" };

/**
 * What ends a list in TypeScript. A tuple keeps the types of its items apart;
 * of an array, the compiler compares all with each other first, which takes
 * longer for each one that comes.
 */
export function tupleIn(target: Target): string {
  return target === "ts" ? " as const" : "";
}

/** A service, and where its code goes. */
export interface ServicePrint extends ServiceRules {
  readonly f: GeneratedFile;
  readonly target: Target;
  /** The service in `<proto>_pb`. */
  readonly schema: ImportSymbol;
  readonly names: ExportNames;
  readonly reach: Reach;
  readonly comments: Comments;
}

/** Prints the policy table of a service. */
export function printPolicies(print: ServicePrint): void {
  const { f, target, service, methods, schema, names, comments } = print;
  const ServicePolicies = f.import("ServicePolicies", "connectrpc-auth", true);
  const type = target === "js" ? [] : [": ", ServicePolicies, "<typeof ", schema.toTypeOnly(), ">"];

  f.print(f.jsDoc(withDeprecation(service, `Who may call the methods of ${service.typeName}.`)));
  if (target === "dts") {
    f.print`${f.export("declare const", names.policies)}${type};`;
    f.print();
    return;
  }
  f.print`${f.export("const", names.policies)}${type} = {`;
  f.print`  service: ${schema},`;
  f.print`  methods: {`;
  for (const { method, policy } of methods) {
    f.print(f.jsDoc(docText(method, comments(method), whoMayCall(policy)), "    "));
    f.print`    ${propertyKey(f, method.localName)}: ${policyLiteral(f, policy)},`;
  }
  f.print`  },`;
  f.print`};`;
  f.print();
}

function policyLiteral(f: GeneratedFile, policy: MethodPolicy): Printable {
  const fields: Printable[] = ["kind: ", f.string(policy.kind)];
  if (policy.kind === "internal" || policy.kind === "requires") {
    for (const list of ["roles", "scopes"] as const) {
      fields.push(`, ${list}: `, f.array(policy[list].map(visibleString)));
    }
  }
  return ["{ ", fields, " }"];
}

/** A string in which everything shows: other characters could turn the code beside them round. */
function visibleString(text: string): string {
  return visibleText(JSON.stringify(text));
}

/** `__proto__: x` in an object literal sets the prototype, `["__proto__"]: x` is a property. */
function propertyKey(f: GeneratedFile, name: string): Printable {
  return name === "__proto__" ? ["[", f.string(name), "]"] : name;
}

function whoMayCall(policy: MethodPolicy): string {
  switch (policy.kind) {
    case "public":
      return "Anyone may call it; no credentials are sent.";
    case "internal":
      return `Other services${grantedWith(policy)} may call it; \`internalCredentials\` are sent.`;
    case "requires":
      return `${grantedWith(policy) === "" ? "Any authenticated caller" : `Callers${grantedWith(policy)}`} may call it; \`credentials\` are sent.`;
    case "authenticated":
      return "Any authenticated caller may call it; `credentials` are sent.";
    case "denied":
      return "Nobody may call it.";
    case "unspecified":
      return "Who may call it is up to the server; `credentials` are sent.";
  }
}

function grantedWith({ roles, scopes }: { roles: readonly string[]; scopes: readonly string[] }) {
  const parts: string[] = [];
  if (roles.length > 0) {
    parts.push(
      roles.length > 1 ? `one of the roles ${quoted(roles)}` : `the role ${quoted(roles)}`,
    );
  }
  if (scopes.length > 0) {
    parts.push(scopes.length > 1 ? `the scopes ${quoted(scopes)}` : `the scope ${quoted(scopes)}`);
  }
  return parts.length > 0 ? ` with ${parts.join(" and ")}` : "";
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `\`${visibleText(name)}\``).join(", ");
}
