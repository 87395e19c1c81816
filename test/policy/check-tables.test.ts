import { describe, expect, test } from "vitest";
import { checkPolicy, checkRequirements, checkTables } from "../../src/policy/check-tables.js";
import { definePolicies } from "../../src/policy/method-policy.js";
import { buildService } from "../support/build-service.js";

const service = buildService("Health", undefined, [{ name: "Check" }]);
const [method] = service.methods;

/** Calls a check as a program without types can. */
function calling(check: (...args: never[]) => void, ...args: unknown[]): () => void {
  return () => Reflect.apply(check, undefined, args);
}

describe("checkTables", () => {
  test("accepts no table, and what definePolicies makes", () => {
    const table = definePolicies(service, { check: { kind: "requires", scopes: ["read"] } });
    expect(calling(checkTables, [])).not.toThrow();
    expect(calling(checkTables, [table])).not.toThrow();
  });

  const noList = "policies must be a list of policy tables, such as [UserServicePolicies]";
  const noTable = "policies must be policy tables, of the plugin or of definePolicies()";
  test.each<{ name: string; tables: unknown; message: string }>([
    { name: "a table without a list", tables: { service, methods: {} }, message: noList },
    { name: "nothing in the list", tables: [null], message: noTable },
    { name: "a table without methods", tables: [{ service }], message: noTable },
    { name: "a table without a service", tables: [{ methods: {} }], message: noTable },
    { name: "a table for a method", tables: [{ service: method, methods: {} }], message: noTable },
    {
      name: "a method without a policy",
      tables: [{ service, methods: {} }],
      message:
        "policies for test.v1.Health, check: the kind must be one of public, internal, requires, authenticated, denied, unspecified",
    },
  ])("rejects $name", ({ tables, message }) => {
    expect(calling(checkTables, tables)).toThrow(new TypeError(message));
  });
});

describe("checkPolicy", () => {
  test.each([
    { kind: "public" },
    { kind: "authenticated" },
    { kind: "denied" },
    { kind: "unspecified" },
    { kind: "internal" },
    { kind: "requires", roles: ["a"], scopes: [] },
  ])("accepts $kind", (policy) => {
    expect(calling(checkPolicy, "a.S/A", policy)).not.toThrow();
  });

  const kinds =
    "the kind must be one of public, internal, requires, authenticated, denied, unspecified";
  test.each<{ policy: object; message: string }>([
    { policy: {}, message: kinds },
    { policy: { kind: "open" }, message: kinds },
    { policy: { kind: "toString" }, message: kinds },
    {
      policy: { kind: "internal", role: ["a"] },
      message: 'a policy of kind internal has no "role", only kind, roles, scopes',
    },
    {
      policy: { kind: "public", roles: ["a"] },
      message: 'a policy of kind public has no "roles", only kind',
    },
    {
      policy: { kind: "internal", roles: "admin" },
      message: "roles must be a list of strings",
    },
    {
      policy: { kind: "requires", scopes: "read" },
      message: "scopes must be a list of strings",
    },
  ])("rejects $policy", ({ policy, message }) => {
    expect(calling(checkPolicy, "a.S/A", policy)).toThrow(new TypeError(`a.S/A: ${message}`));
  });
});

describe("checkRequirements", () => {
  test("accepts lists that are left out", () => {
    expect(calling(checkRequirements, "it", {})).not.toThrow();
  });

  // what is undefined by mistake must not open a method
  test.each([undefined, null, "a", { 0: "a" }, [1], [undefined]])("rejects %j", (list) => {
    for (const name of ["roles", "scopes"]) {
      expect(calling(checkRequirements, "it", { [name]: list })).toThrow(
        new TypeError(`it: ${name} must be a list of strings`),
      );
    }
  });
});
