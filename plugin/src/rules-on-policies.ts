import type { Rule } from "./diagnostics.js";
import { elements } from "./elements.js";
import { nearestWord } from "./nearest-word.js";
import type { Setting, WrittenRules } from "./read-policies.js";
import { asksForNothing } from "./rules-on-requirements.js";

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
  for (const { on, written, effective } of elements(rules)) {
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
    if (first === undefined || effective.public?.value !== true) {
      continue;
    }
    const names = restrictions.map(show).join(" and ");
    const why = isInherited ? "the service is public" : "public: true lets anyone in";
    const consequence =
      on.kind === "service"
        ? "would apply to methods with public: false only; remove one, and write the other on the methods that it is for"
        : `would not apply; ${isInherited ? "write public: false on the method" : "remove one or the other"}`;
    yield { on, path: [first.field.number], message: `${why}, so ${names} ${consequence}` };
  }
};

/** Finds what is both public and internal. */
export const publicAndInternal: Rule = function* (rules) {
  for (const { on, written, effective } of elements(rules)) {
    const { public: open, internal } = effective;
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

/** Finds a `policy` that never applies, because `internal` or requirements decide. */
export const policyWithoutEffect: Rule = function* (rules) {
  for (const { on, written, effective } of elements(rules)) {
    const { policy } = written;
    if (policy === undefined || effective.public?.value === true) {
      continue;
    }
    // a method can take back that its service is internal, but not that it requires something
    const isInternal = on.kind === "rpc" && effective.internal?.value === true;
    const decider = isInternal ? effective.internal : effective.requires;
    if (decider === undefined || (policy.value === "allow" && isAnyIdentity(decider))) {
      continue;
    }
    const isOwn = decider === written.internal || decider === written.requires;
    const message = `${show(policy)} never applies, because ${show(decider)}${isOwn ? "" : " of the service"} decides`;
    yield {
      on,
      path: [policy.field.number],
      message: `${message}; ${isOwn ? "remove one of them" : adviceFor(policy, decider)}`,
    };
  }
};

type Decider = NonNullable<WrittenRules["internal"] | WrittenRules["requires"]>;

/** Says the same as `policy: "allow"`. */
function isAnyIdentity({ value }: Decider): boolean {
  return value !== true && value !== false && asksForNothing(value);
}

function adviceFor(policy: Setting<string>, decider: Decider): string {
  if (typeof decider.value === "boolean") {
    return "write internal: false on the method as well, or remove policy";
  }
  return policy.value === "allow"
    ? "write requires: {} for any authenticated caller"
    : "write requires on the methods that need it in place of default_requires, or remove policy";
}

/** A setting as it is written. Of requirements only the name. */
function show({ field, value }: Setting<unknown>): string {
  return typeof value === "object" ? field.name : `${field.name}: ${JSON.stringify(value)}`;
}
