import { AuthRequirementsSchema } from "../../src/gen/connectum/auth/v1/options_pb.js";
import type { Finding, Rule } from "./diagnostics.js";
import { nearestWord } from "./nearest-word.js";
import type { FileRules, Setting, WrittenRules } from "./read-policies.js";

/** Finds a `policy` or `default_policy` that is neither `allow` nor `deny`. */
export const unknownPolicy: Rule = function* (rules) {
  for (const { on, written } of elements(rules)) {
    if (written.policy === undefined || /^(?:allow|deny)$/.test(written.policy.value)) {
      continue;
    }
    const { field, value } = written.policy;
    const near = nearestWord(value, ["allow", "deny"]);
    const write =
      near === undefined ? '"allow" (any authenticated caller) or "deny" (nobody)' : `"${near}"`;
    yield {
      on,
      path: [field.number],
      message: `${field.name} ${JSON.stringify(value)} is neither "allow" nor "deny"; write ${write}`,
    };
  }
};

/**
 * Finds restrictions beside `public: true`, which wins over them: on the same
 * element, or inherited by a method from its service. `policy: "allow"`
 * restricts a method of a public service, too: to authenticated callers.
 */
export const publicAndRestricted: Rule = function* (rules) {
  for (const { on, written, inherited } of elements(rules)) {
    const restrictions: Setting<unknown>[] = [];
    if (written.requires !== undefined) {
      restrictions.push(written.requires);
    }
    const isInherited = written.public === undefined;
    const words = isInherited ? ["allow", "deny"] : ["deny"];
    if (written.policy && words.includes(written.policy.value)) {
      restrictions.push(written.policy);
    }
    const [first] = restrictions;
    const isPublic = written.public ?? inherited.public;
    if (first === undefined || isPublic?.value !== true) {
      continue;
    }
    const names = restrictions
      .map(({ field, value }) =>
        typeof value === "string" ? `${field.name}: ${JSON.stringify(value)}` : field.name,
      )
      .join(" and ");
    yield {
      on,
      path: [first.field.number],
      message: isInherited
        ? `the service is public, so ${names} would not apply; write public: false on the method`
        : `public: true lets anyone in, so ${names} would not apply; remove one or the other`,
    };
  }
};

/** Finds what is both public and internal. */
export const publicAndInternal: Rule = function* (rules) {
  for (const { on, written, inherited } of elements(rules)) {
    const open = written.public ?? inherited.public;
    const internal = written.internal ?? inherited.internal;
    if (open?.value !== true || internal?.value !== true) {
      continue;
    }
    if (written.public !== undefined && written.internal !== undefined) {
      const message = "both public: true and internal: true; remove one of them";
      yield { on, path: [internal.field.number], message };
    } else if (written.public !== undefined) {
      const message =
        "public: true on a method of an internal service; write internal: false on the method as well, or remove public";
      yield { on, path: [open.field.number], message };
    } else if (written.internal !== undefined) {
      const message =
        "internal: true on a method of a public service; write public: false on the method as well, or remove internal";
      yield { on, path: [internal.field.number], message };
    }
    // where both are inherited, the finding is on the service
  }
};

/** Finds roles and scopes that nobody can have been granted, and repeated ones. */
export const malformedRequirements: Rule = function* (rules) {
  for (const { on, written } of elements(rules)) {
    if (written.requires === undefined) {
      continue;
    }
    const { field, value } = written.requires;
    for (const list of ["roles", "scopes"] as const) {
      const check = list === "roles" ? wrongWithRole : wrongWithScope;
      for (const [index, item] of value[list].entries()) {
        const message =
          value[list].indexOf(item) < index
            ? `${singular[list]} ${JSON.stringify(item)} is listed twice; remove one`
            : check(item);
        if (message !== undefined) {
          const path = [field.number, AuthRequirementsSchema.field[list].number, index];
          yield { on, path, message };
        }
      }
    }
  }
};

const singular = { roles: "role", scopes: "scope" } as const;

function wrongWithRole(role: string): string | undefined {
  if (role === "") {
    return 'role "" is empty; remove it, or name a role';
  }
  if (/[\s\p{Cc}]/u.test(role)) {
    return `role ${JSON.stringify(role)} has white space or a control character; list each role by itself`;
  }
  return undefined;
}

function wrongWithScope(scope: string): string | undefined {
  if (scope === "") {
    return 'scope "" is empty; remove it, or name a scope';
  }
  // RFC 6749 §3.3
  if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) {
    const advice = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)
      ? "list each scope by itself"
      : 'use printable ASCII without space, " and \\';
    return `scope ${JSON.stringify(scope)} must be one scope-token (RFC 6749 §3.3); ${advice}`;
  }
  return undefined;
}

interface Element {
  readonly on: Finding["on"];
  readonly written: WrittenRules;
  /** What a method gets from its service where it says nothing itself. */
  readonly inherited: WrittenRules;
}

/** All services and methods of a file. */
function* elements({ services }: FileRules): Iterable<Element> {
  for (const { service, written: inherited, methods } of services) {
    yield { on: service, written: inherited, inherited: {} };
    for (const { method, written } of methods) {
      yield { on: method, written, inherited };
    }
  }
}
