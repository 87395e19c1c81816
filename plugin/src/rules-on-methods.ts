import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Rule } from "./diagnostics.js";
import { importsOptions } from "./imports-options.js";

/** Finds methods that nothing is said about, in files that could say something. */
export const undecided: Rule = function* ({ file, services }) {
  const methods = services.flatMap((service) => service.methods);
  const found = methods.filter(({ policy }) => policy.kind === "unspecified");
  if (found.length === 0 || !importsOptions(file)) {
    return;
  }
  for (const { method } of found) {
    const message =
      'nothing says who may call it; write public, internal, requires or policy on the method, or default_policy: "deny" on the service';
    yield { on: method, path: [], message };
  }
};

/** Finds methods that nobody can call. */
export const unreachable: Rule = function* ({ services }) {
  for (const { written: defaults, methods } of services) {
    for (const { method, written, policy } of methods) {
      // an unknown word denies as well, but it is an error by itself
      if (policy.kind !== "denied" || (written.policy ?? defaults.policy)?.value !== "deny") {
        continue;
      }
      if (written.policy !== undefined) {
        const message =
          'policy: "deny" lets nobody call it; write public, internal or requires instead, or remove the method';
        yield { on: method, path: [written.policy.field.number], message };
      } else {
        const message =
          'default_policy: "deny" of the service lets nobody call it; write public, internal, requires or policy: "allow" on the method';
        yield { on: method, path: [], message };
      }
    }
  }
};

/** Finds public methods that may change something, in services that deny by default. */
export const openToWrites: Rule = function* ({ services }) {
  for (const { written: defaults, methods } of services) {
    if (defaults.policy?.value !== "deny") {
      continue;
    }
    for (const { method, written } of methods) {
      const isReadOnly =
        method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ||
        readsByName(method.name);
      if (written.public?.value === true && !isReadOnly) {
        const message =
          "public: true on a method that may change something; ask for credentials, or write option idempotency_level = NO_SIDE_EFFECTS if it only reads";
        yield { on: method, path: [written.public.field.number], message };
      }
    }
  }
};

/** The first words of names that promise to read only. */
export const readingWords: readonly string[] = [
  ...["BatchGet", "Check", "Count", "Describe", "Download", "Fetch", "Find", "Get", "Has", "Is"],
  ...["List", "Lookup", "Ping", "Preview", "Query", "Read", "Search", "Validate", "Watch"],
];

// "Getaway" does not begin with "Get"; "GetOrCreateUser" and "CheckIn" are something else
const reading = new RegExp(
  `^(?:${readingWords.join("|")})(?![a-z])(?!_?(?:and|in|or|out|And|In|Or|Out)(?![a-z]))`,
);

/** "GetUser", "getUser" and "get_user" are one name. */
function readsByName(name: string): boolean {
  return reading.test(name.charAt(0).toUpperCase() + name.slice(1));
}
