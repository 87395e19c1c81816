import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { MethodPolicy } from "../../src/policy/method-policy.js";
import { compareText } from "./compare-text.js";
import { type Comments, readComments } from "./doc-text.js";
import type { FileRules, MethodRules } from "./read-policies.js";
import { visibleText } from "./visible-text.js";

/** Who may call what, for people. In all its texts everything shows, and no line breaks. */
export interface AccessMatrix {
  /** How many methods there are, and of which kinds, as a sentence. */
  readonly summary: string;
  /** By name. */
  readonly services: readonly ServiceAccess[];
}

/** Who may call the methods of a service. */
export interface ServiceAccess {
  readonly name: string;
  /** The first paragraph of its comment. */
  readonly about: string;
  /** In the order of the proto file, but public ones first. */
  readonly methods: readonly MethodAccess[];
}

/** Who may call a method. */
export interface MethodAccess {
  readonly name: string;
  readonly kind: MethodPolicy["kind"];
  /** Who may call it, without the names of roles and scopes. */
  readonly callers: string;
  /** A caller needs one of them. */
  readonly roles: readonly string[];
  /** A caller needs all of them. */
  readonly scopes: readonly string[];
  /** The first paragraph of its comment. */
  readonly about: string;
  /** What else is worth knowing: that it streams, has no side effects, is deprecated. */
  readonly notes: readonly string[];
}

/** Gathers who may call the methods of all files. */
export function accessMatrix(files: readonly FileRules[]): AccessMatrix {
  const services = files
    .flatMap((file) => {
      const comments = readComments(file.file);
      return file.services.map(({ service, methods }) => ({
        name: service.typeName,
        about: firstParagraph(comments(service)),
        methods: publicFirst(methods).map((rules) => methodAccess(rules, comments)),
      }));
    })
    .sort((a, b) => compareText(a.name, b.name));
  return { summary: summaryOf(services), services };
}

/** Who may call a method with a policy, without the names of roles and scopes. */
export function callersOf(policy: MethodPolicy): string {
  switch (policy.kind) {
    case "public":
      return "anyone";
    case "internal":
      return `other services${demanded(policy)}`;
    case "requires":
      return demanded(policy) === ""
        ? "any authenticated caller"
        : `authenticated callers${demanded(policy)}`;
    case "authenticated":
      return "any authenticated caller";
    case "denied":
      return "nobody";
    case "unspecified":
      return "not said: the server decides";
  }
}

function demanded({ roles, scopes }: { roles: readonly string[]; scopes: readonly string[] }) {
  const parts: string[] = [];
  if (roles.length > 0) {
    parts.push(roles.length > 1 ? "one of the roles" : "the role");
  }
  if (scopes.length > 0) {
    parts.push(scopes.length > 1 ? "all of the scopes" : "the scope");
  }
  return parts.length > 0 ? ` with ${parts.join(" and ")}` : "";
}

function methodAccess({ method, policy }: MethodRules, comments: Comments): MethodAccess {
  const hasLists = policy.kind === "internal" || policy.kind === "requires";
  return {
    name: visibleText(method.name),
    kind: policy.kind,
    callers: callersOf(policy),
    roles: hasLists ? policy.roles.map(visibleText) : [],
    scopes: hasLists ? policy.scopes.map(visibleText) : [],
    about: firstParagraph(comments(method)),
    notes: notesOn(method),
  };
}

function notesOn(method: DescMethod): string[] {
  const notes: string[] = [];
  if (method.methodKind !== "unary") {
    notes.push(
      {
        client_streaming: "client streaming",
        server_streaming: "server streaming",
        bidi_streaming: "bidirectional streaming",
      }[method.methodKind],
    );
  }
  if (method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) {
    notes.push("no side effects");
  }
  if (method.deprecated || method.parent.deprecated || method.parent.file.deprecated) {
    notes.push("deprecated");
  }
  return notes;
}

function publicFirst(methods: readonly MethodRules[]): MethodRules[] {
  const isPublic = ({ policy }: MethodRules) => policy.kind === "public";
  return [...methods.filter(isPublic), ...methods.filter((rules) => !isPublic(rules))];
}

function firstParagraph(comment: string): string {
  const [paragraph = ""] = comment.trim().split(/\n\s*\n/);
  return visibleText(paragraph.replace(/\s+/g, " "));
}

function summaryOf(services: readonly ServiceAccess[]): string {
  const kinds = services.flatMap(({ methods }) => methods.map(({ kind }) => kind));
  const counts = kindNames.flatMap(([kind, name]) => {
    const count = kinds.filter((other) => other === kind).length;
    return count > 0 ? [`${count} ${name}`] : [];
  });
  const list = counts.length > 0 ? `: ${counts.join(", ")}` : "";
  return `${plural(kinds.length, "method")} of ${plural(services.length, "service")}${list}.`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** What people call the kinds, from open to closed. */
export const kindNames: readonly (readonly [MethodPolicy["kind"], string])[] = [
  ["public", "public"],
  ["unspecified", "not said"],
  ["authenticated", "for any authenticated caller"],
  ["requires", "with requirements"],
  ["internal", "internal"],
  ["denied", "denied"],
];
