import { describe, expect, test } from "vitest";
import { definePolicies, type MethodPolicyInit } from "../../src/policy/method-policy.js";
import { createPolicyLookup } from "../../src/policy/policy-lookup.js";
import { getInternalMethods, getPublicMethods } from "../../src/policy/public-methods.js";
import { buildService } from "../support/build-service.js";

const health = buildService("Health", undefined, [{ name: "Check" }, { name: "Watch" }]);

describe("definePolicies", () => {
  test("fills in the lists that are left out", () => {
    const table = definePolicies(health, {
      check: { kind: "internal" },
      watch: { kind: "requires", roles: ["operator"] },
    });
    expect(table).toEqual({
      service: health,
      methods: {
        check: { kind: "internal", roles: [], scopes: [] },
        watch: { kind: "requires", roles: ["operator"], scopes: [] },
      },
    });
  });

  test.each<{ name: string; methods: Record<string, MethodPolicyInit>; message: string }>([
    {
      name: "a method without a policy",
      methods: { check: { kind: "public" } },
      message: "policies for test.v1.Health must name exactly its methods: check, watch",
    },
    {
      name: "a policy without a method",
      methods: { check: { kind: "public" }, watch: { kind: "public" }, list: { kind: "public" } },
      message: "policies for test.v1.Health must name exactly its methods: check, watch",
    },
    {
      name: "an inherited property as a policy",
      methods: Object.create({ check: { kind: "public" }, watch: { kind: "public" } }),
      message: "policies for test.v1.Health must name exactly its methods: check, watch",
    },
  ])("rejects $name", ({ methods, message }) => {
    expect(() => definePolicies(health, methods)).toThrow(new TypeError(message));
  });

  test("keeps methods whose names objects have anyway", () => {
    const service = buildService("Odd", undefined, [
      { name: "__proto__" },
      { name: "constructor" },
      { name: "then" },
    ]);
    const table = definePolicies(
      service,
      Object.fromEntries(
        service.methods.map((method): [string, MethodPolicyInit] => [
          method.localName,
          { kind: method.name === "then" ? "denied" : "public" },
        ]),
      ),
    );
    expect(getPublicMethods([table])).toEqual(["test.v1.Odd/__proto__", "test.v1.Odd/constructor"]);
  });
});

describe("getPublicMethods and getInternalMethods", () => {
  const annotated = buildService("Annotated", { public: true }, [
    { name: "A" },
    { name: "B", auth: { public: false } },
    { name: "C", auth: { public: false, internal: true } },
    { name: "D" },
  ]);

  test("read descriptors", () => {
    expect(getPublicMethods([annotated])).toEqual(["test.v1.Annotated/A", "test.v1.Annotated/D"]);
    expect(getInternalMethods([annotated])).toEqual(["test.v1.Annotated/C"]);
  });

  test("read tables, which need not agree with the descriptor", () => {
    const table = definePolicies(annotated, {
      a: { kind: "internal" },
      b: { kind: "public" },
      c: { kind: "denied" },
      d: { kind: "authenticated" },
    });
    expect(getPublicMethods([table, health])).toEqual(["test.v1.Annotated/B"]);
    expect(getInternalMethods([table, health])).toEqual(["test.v1.Annotated/A"]);
  });
});

describe("createPolicyLookup", () => {
  const table = definePolicies(health, { check: { kind: "public" }, watch: { kind: "denied" } });

  test("finds a method through another copy of its descriptor", () => {
    const copy = buildService("Health", undefined, [{ name: "Check" }, { name: "Watch" }]);
    const lookup = createPolicyLookup([table]);
    expect(copy.methods.map(lookup.get)).toEqual([{ kind: "public" }, { kind: "denied" }]);
    expect(copy.methods.map(lookup.get)).toEqual([{ kind: "public" }, { kind: "denied" }]);
  });

  test("knows no method of a service without a table", () => {
    const other = buildService("Other", undefined, [{ name: "Check" }]);
    expect(other.methods.map(createPolicyLookup([table]).get)).toEqual([undefined]);
  });

  test("knows no method that its table leaves out", () => {
    const lookup = createPolicyLookup([
      { service: health, methods: { check: { kind: "public" } } },
    ]);
    expect(health.methods.map(lookup.get)).toEqual([{ kind: "public" }, undefined]);
  });

  test("accepts the same table twice and rejects a different one", () => {
    const lookup = createPolicyLookup([table, table]);
    const same = definePolicies(health, { check: { kind: "public" }, watch: { kind: "denied" } });
    lookup.add(same);
    const different = definePolicies(health, {
      check: { kind: "public" },
      watch: { kind: "public" },
    });
    expect(() => lookup.add(different)).toThrow(
      new TypeError("two different policy tables for test.v1.Health"),
    );
  });
});
