import { readFileSync } from "node:fs";
import * as protobuf from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { type Reader, readerChecks } from "../../plugin/test/reader-checks.js";
import * as options from "../../src/gen/connectum/auth/v1/options_pb.js";
import * as resolver from "../../src/policy/resolve-method-auth.js";
import { type Resolver, resolverChecks } from "../policy/resolver-checks.js";
import { loadModule } from "./load-module.js";
import { mutantsOf } from "./mutants-of.js";
import { type Subject, survivors } from "./survivors.js";

function sourceOf(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

describe("every mistake of one place is caught in", () => {
  test("what resolves the options of a method and its service", () => {
    const path = "src/policy/resolve-method-auth.ts";
    const subject: Subject<Resolver> = {
      source: sourceOf(path),
      load: (source) =>
        loadModule(
          source,
          { "@bufbuild/protobuf": protobuf, "../gen/connectum/auth/v1/options_pb.js": options },
          (exports): exports is Resolver =>
            "resolveMethodAuth" in exports && "resolveMethodPolicy" in exports,
        ),
      checks: resolverChecks,
    };
    expectCaught(path, subject, 120, {
      "readOptions: hasOption(method, method_auth) ? getOption(method, method_auth) : undefined → (getOption(method, method_auth))":
        "an option that is not there reads as one with nothing set",
      "readOptions: hasOption(method.parent, service_auth) ? getOption(method.parent, service_auth) : undefined → (getOption(method.parent, service_auth))":
        "an option that is not there reads as one with nothing set",
    });
  }, 120_000);

  test("what reads the options in the plugin", () => {
    const path = "plugin/src/read-policies.ts";
    const subject: Subject<Reader> = {
      source: sourceOf(path),
      load: (source) =>
        loadModule(
          source,
          {
            "@bufbuild/protobuf": protobuf,
            "../../src/gen/connectum/auth/v1/options_pb.js": options,
            "../../src/policy/resolve-method-auth.js": resolver,
          },
          (exports): exports is Reader => "readPolicies" in exports,
        ),
      checks: readerChecks,
    };
    expectCaught(path, subject, 50, {
      "writtenOnService: !hasOption(service, service_auth) → false":
        "an option that is not there reads as one with nothing set",
      "writtenOnService: without return {};":
        "an option that is not there reads as one with nothing set",
      "writtenOnMethod: !hasOption(method, method_auth) → false":
        "an option that is not there reads as one with nothing set",
      "writtenOnMethod: without return {};":
        "an option that is not there reads as one with nothing set",
      "setting: value !== undefined && isFieldSet(auth, field) → (isFieldSet(auth, field))":
        "a field that is set has a value; the comparison is for the type",
      "setting: value !== undefined → value !== null":
        "a field that is set has a value; the comparison is for the type",
      "parsing: option.message?.typeName → option.message.typeName":
        "our options are messages; the question mark is for the type",
    });
  }, 120_000);
});

/**
 * Fails where mutants survive that are not listed as `equivalent`, with the
 * reason why nobody can tell them from the module, or where listed ones do not.
 */
function expectCaught<T>(
  path: string,
  subject: Subject<T>,
  atLeast: number,
  equivalent: Readonly<Record<string, string>>,
): void {
  // or else the mutants would be caught for nothing
  const original = subject.load(subject.source);
  for (const { check } of subject.checks) {
    check(original);
  }
  expect(mutantsOf(subject.source).length).toBeGreaterThanOrEqual(atLeast);
  const survived = survivors(subject);
  const isListed = (name: string) => Object.hasOwn(equivalent, name);
  expect({
    survived: survived
      .filter(({ name }) => !isListed(name))
      .map(({ line, name }) => `${path}:${line}: ${name}`),
    listed: survived.map(({ name }) => name).filter(isListed),
  }).toEqual({ survived: [], listed: Object.keys(equivalent) });
}
