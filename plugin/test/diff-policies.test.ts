import { readFileSync } from "node:fs";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import {
  definePolicies,
  type MethodPolicy,
  type Requirements,
} from "../../src/policy/method-policy.js";
import { createAuthInterceptor, createServerAuth } from "../../src/server/index.js";
import { inMemory } from "../../src/testing/index.js";
import { callEmpty, serveEmpty } from "../../test/parity/calls.js";
import { buildService } from "../../test/support/build-service.js";
import { type Change, comparePolicies } from "../src/diff/compare-policies.js";
import { gains } from "../src/diff/gains.js";
import { changesText } from "../src/diff/print-changes.js";

const none: Requirements = { roles: [], scopes: [] };

/** The change of one method. `undefined`: there is none. */
function compare(before: MethodPolicy | undefined, after: MethodPolicy | undefined) {
  const side = (policy: MethodPolicy | undefined) =>
    new Map(policy === undefined ? [] : [["a.S/M", policy]]);
  const [change, ...others] = comparePolicies(side(before), side(after));
  expect(others).toEqual([]);
  return change;
}

describe("a change of a policy", () => {
  const admin: MethodPolicy = { kind: "requires", roles: ["admin"], scopes: [] };
  const write: MethodPolicy = { kind: "requires", roles: [], scopes: ["write"] };
  const open: MethodPolicy = { kind: "public" };
  const internal: MethodPolicy = { kind: "internal", ...none };
  const authenticated: MethodPolicy = { kind: "authenticated" };
  const denied: MethodPolicy = { kind: "denied" };
  const unspecified: MethodPolicy = { kind: "unspecified" };

  test.each<{
    name: string;
    before: MethodPolicy;
    after: MethodPolicy;
    effect: Change["effect"];
    because?: string[];
  }>([
    {
      name: "to public relaxes",
      before: authenticated,
      after: open,
      effect: "relaxed",
      because: ["anyone may call it"],
    },
    { name: "from public restricts", before: open, after: internal, effect: "restricted" },
    {
      name: "from denied to a role relaxes",
      before: denied,
      after: admin,
      effect: "relaxed",
      because: ["users may call it"],
    },
    {
      name: "from internal to a role relaxes: for users",
      before: internal,
      after: admin,
      effect: "relaxed",
      because: ["users may call it"],
    },
    {
      name: "from a role to internal relaxes: for services",
      before: admin,
      after: internal,
      effect: "relaxed",
      because: ["other services may call it"],
    },
    {
      name: "to one more role relaxes",
      before: admin,
      after: { ...admin, roles: ["ops", "admin", "owner"] },
      effect: "relaxed",
      because: ["role ops is enough", "role owner is enough"],
    },
    {
      name: "to one role less restricts",
      before: { ...admin, roles: ["admin", "ops"] },
      after: admin,
      effect: "restricted",
    },
    {
      name: "to no role relaxes",
      before: { ...write, roles: ["admin"] },
      after: write,
      effect: "relaxed",
      because: ["no role is needed"],
    },
    {
      name: "from no role to one restricts",
      before: write,
      after: { ...write, roles: ["admin"] },
      effect: "restricted",
    },
    {
      name: "to one scope less relaxes",
      before: write,
      after: authenticated,
      effect: "relaxed",
      because: ["scope write is not needed"],
    },
    {
      name: "to one more scope restricts",
      before: write,
      after: { ...write, scopes: ["read", "write"] },
      effect: "restricted",
    },
    {
      name: "to another role and one more scope relaxes, for those with that role",
      before: admin,
      after: { kind: "requires", roles: ["ops"], scopes: ["write"] },
      effect: "relaxed",
      because: ["role ops is enough"],
    },
    {
      name: "to what the server decides relaxes",
      before: admin,
      after: unspecified,
      effect: "relaxed",
      because: ["the server decides who may call it"],
    },
    {
      name: "from what the server decides relaxes",
      before: unspecified,
      after: admin,
      effect: "relaxed",
      because: ["users may call it"],
    },
    {
      name: "from any user to what the server decides restricts",
      before: authenticated,
      after: unspecified,
      effect: "restricted",
    },
    {
      name: "from what the server decides to denied restricts",
      before: unspecified,
      after: denied,
      effect: "restricted",
    },
    {
      name: "from any user to no requirements is neutral",
      before: authenticated,
      after: { kind: "requires", ...none },
      effect: "neutral",
    },
    {
      name: "to a role whose name is not plain says so",
      before: admin,
      after: { ...admin, roles: ["admin", "a\u202eb", "x y"] },
      effect: "relaxed",
      because: ['role "a\\u202eb" is enough', 'role "x y" is enough'],
    },
  ])("$name", ({ before, after, effect, because = [] }) => {
    expect(compare(before, after)).toMatchObject({ method: "a.S/M", effect });
    expect(compare(before, after)?.because.toSorted()).toEqual(because.toSorted());
  });

  test("is none where roles and scopes are listed in another order, or twice", () => {
    const roles: MethodPolicy = { kind: "internal", roles: ["a", "b"], scopes: ["x", "y"] };
    expect(compare(roles, { ...roles, roles: ["b", "a", "b"], scopes: ["y", "x"] })).toBe(
      undefined,
    );
  });

  test.each<{ name: string; after: MethodPolicy; effect: Change["effect"] }>([
    { name: "is public", after: open, effect: "relaxed" },
    { name: "is for any user", after: authenticated, effect: "relaxed" },
    { name: "requires nothing", after: { kind: "requires", ...none }, effect: "relaxed" },
    { name: "says nothing", after: unspecified, effect: "relaxed" },
    { name: "requires a role", after: admin, effect: "neutral" },
    { name: "requires a scope", after: write, effect: "neutral" },
    { name: "is internal", after: internal, effect: "neutral" },
    { name: "is denied", after: denied, effect: "neutral" },
  ])("to a new method that $name is $effect", ({ after, effect }) => {
    expect(compare(undefined, after)).toMatchObject({ before: undefined, after, effect });
  });

  test.each<{ before: MethodPolicy; effect: Change["effect"] }>([
    { before: open, effect: "restricted" },
    { before: admin, effect: "restricted" },
    { before: internal, effect: "restricted" },
    { before: unspecified, effect: "restricted" },
    { before: denied, effect: "neutral" },
  ])("to no method any more from $before.kind is $effect", ({ before, effect }) => {
    expect(compare(before, undefined)).toMatchObject({ before, after: undefined, effect });
  });

  describe("to another name is that of a method that is gone and a new one", () => {
    const ops: MethodPolicy = { kind: "requires", roles: ["ops"], scopes: [] };

    test.each<{
      name: string;
      before: [string, MethodPolicy][];
      after: [string, MethodPolicy][];
      effect: Change["effect"];
      because?: string[];
    }>([
      {
        name: "relaxes where the new one lets in more",
        before: [["a.S/Delete", admin]],
        after: [["a.S/Remove", ops]],
        effect: "relaxed",
        because: ["role ops is enough, if it was a.S/Delete"],
      },
      {
        name: "is neutral where it does not",
        before: [["a.S/Delete", { ...admin, roles: ["admin", "ops"] }]],
        after: [["a.S/Remove", admin]],
        effect: "neutral",
      },
      {
        name: "relaxes in another package, too",
        before: [["a.v1.S/Delete", internal]],
        after: [["a.v2.S/Delete", admin]],
        effect: "relaxed",
        because: ["users may call it, if it was a.v1.S/Delete"],
      },
      {
        name: "is no new name where the old one is still there",
        before: [["a.v1.S/Delete", internal]],
        after: [
          ["a.v1.S/Delete", internal],
          ["a.v2.S/Delete", admin],
        ],
        effect: "neutral",
      },
      {
        name: "is no new name in another package",
        before: [["a.S/Delete", internal]],
        after: [["b.T/Remove", admin]],
        effect: "neutral",
      },
      {
        name: "may be a new name in another version of the package",
        before: [["a.v1.S/Delete", internal]],
        after: [["a.v2.T/Remove", admin]],
        effect: "relaxed",
        because: ["users may call it, if it was a.v1.S/Delete"],
      },
      {
        name: "may be a new name where the old one is closed",
        before: [["a.S/Delete", internal]],
        after: [
          ["a.S/Delete", { kind: "denied" }],
          ["a.S/Remove", admin],
        ],
        effect: "relaxed",
        because: ["users may call it, if it was a.S/Delete"],
      },
    ])("$name", ({ before, after, effect, because = [] }) => {
      const changes = comparePolicies(new Map(before), new Map(after));
      expect(changes.find((change) => change.before === undefined)).toMatchObject({
        effect,
        because,
      });
    });
  });
});

test("the table in docs/review.md is what the program does", () => {
  const policyOf: Record<string, MethodPolicy | undefined> = {
    public: { kind: "public" },
    authenticated: { kind: "authenticated" },
    requires: { kind: "requires", roles: ["admin"], scopes: [] },
    internal: { kind: "internal", ...none },
    unspecified: { kind: "unspecified" },
    denied: { kind: "denied" },
  };
  const page = readFileSync(new URL("../../docs/review.md", import.meta.url), "utf8");
  const [head = [], , ...rows] = page
    .slice(page.indexOf("| | `public` |"))
    .split("\n\n", 1)
    .join()
    .split("\n")
    .map((line) =>
      line.split("|").map((cell) => cell.replace(/[*`\u00b9\u00b2\u00b3\u2074]/g, "").trim()),
    );
  expect(rows).toHaveLength(7);
  for (const [, row = "", ...cells] of rows) {
    const found = head.slice(2, -1).map((column, i) => {
      const change = compare(policyOf[row], policyOf[column]);
      // marked by a note alone: it depends on the roles and scopes
      return change?.effect ?? (cells[i] === "–" ? "–" : "");
    });
    expect([row, ...found]).toEqual([row, ...cells.slice(0, -1)]);
  }
});

// All policies and callers of a small world, so that "some caller" is not a matter of luck.
const requirements: Requirements[] = subsets(["a", "b", "c"]).flatMap((roles) =>
  subsets(["x", "y"]).map((scopes) => ({ roles, scopes })),
);
const policies: MethodPolicy[] = [
  { kind: "public" },
  { kind: "authenticated" },
  { kind: "denied" },
  { kind: "unspecified" },
  ...requirements.map((granted): MethodPolicy => ({ kind: "requires", ...granted })),
  ...requirements.map((granted): MethodPolicy => ({ kind: "internal", ...granted })),
];
type Caller = "nobody" | { readonly as: "user" | "service"; readonly granted: Requirements };
const callers: Caller[] = [
  "nobody",
  ...requirements.map((granted): Caller => ({ as: "user", granted })),
  ...requirements.map((granted): Caller => ({ as: "service", granted })),
];

function subsets<T>(items: readonly T[]): T[][] {
  return Array.from({ length: 2 ** items.length }, (_, bits) =>
    items.filter((_, i) => (bits >> i) % 2 === 1),
  );
}

describe("the effect is what a server does", () => {
  /** The callers whom a server lets pass, by policy: where it denies what is not said, and where it allows that. */
  let passing: Record<"deny" | "allow", ReadonlySet<Caller>[]>;
  beforeAll(async () => {
    passing = { deny: await askServer("deny"), allow: await askServer("allow") };
  }, 120_000);

  /** Whether some caller passes now who did not: with the least that the server may have let in, and the most it may now. */
  function letsIn(before: number, after: number): boolean {
    const then = passing.deny[before] ?? new Set();
    return [...(passing.allow[after] ?? [])].some((caller) => !then.has(caller));
  }
  const undecided = policies.findIndex(({ kind }) => kind === "unspecified");
  const nobody = policies.findIndex(({ kind }) => kind === "denied");

  test("for each change from any policy to any other", () => {
    const effects = new Set<string>();
    for (const [b, before] of policies.entries()) {
      for (const [a, after] of policies.entries()) {
        const isSame = a === b && a === undecided;
        const closed = !isSame && letsIn(a, b) ? "restricted" : "neutral";
        const want = !isSame && letsIn(b, a) ? "relaxed" : closed;
        const change = compare(before, after);
        expect(change?.effect ?? "neutral", JSON.stringify({ before, after })).toBe(want);
        expect((change?.because.length ?? 0) > 0).toBe(want === "relaxed");
        effects.add(want);
      }
    }
    expect([...effects].sort()).toEqual(["neutral", "relaxed", "restricted"]);
  });

  test("for each method that is new: it relaxes where a user passes who was granted nothing", () => {
    const bare = callers.filter(
      (caller) => caller !== "nobody" && caller.as === "user" && isNothing(caller.granted),
    );
    expect(bare).toHaveLength(1);
    for (const [a, after] of policies.entries()) {
      const isOpen = bare.some((caller) => passing.allow[a]?.has(caller));
      expect(compare(undefined, after)?.effect).toBe(isOpen ? "relaxed" : "neutral");
    }
  });

  test("for each method that is new and may have had another name", () => {
    for (const [b, before] of policies.entries()) {
      for (const [a, after] of policies.entries()) {
        const changes = comparePolicies(
          new Map([["a.S/Old", before]]),
          new Map([["a.S/New", after]]),
        );
        const isOpen = compare(undefined, after)?.effect === "relaxed";
        const want = isOpen || letsIn(b, a) ? "relaxed" : "neutral";
        expect(changes[0]?.effect, JSON.stringify({ before, after })).toBe(want);
      }
    }
  });

  test("for each method that is gone: it restricts where somebody passed", () => {
    for (const [b, before] of policies.entries()) {
      expect(compare(before, undefined)?.effect).toBe(letsIn(nobody, b) ? "restricted" : "neutral");
    }
  });
});

function isNothing({ roles, scopes }: Requirements): boolean {
  return roles.length === 0 && scopes.length === 0;
}

/** Calls a method with each policy as each caller, on a server with these tables. */
async function askServer(defaultPolicy: "allow" | "deny"): Promise<ReadonlySet<Caller>[]> {
  const service = buildService(
    "Small",
    undefined,
    policies.map((_, i) => ({ name: `M${i}` })),
  );
  const authenticate = (as: "user" | "service") =>
    createAuthInterceptor({
      extractCredentials: ({ header }) => header.get(`x-${as}`),
      verifyCredentials: (index) => {
        const caller = callers[Number(index)];
        if (caller === undefined || caller === "nobody") {
          throw new Error("unknown caller");
        }
        return { subject: index, ...caller.granted, claims: {}, type: as };
      },
    });
  const auth = createServerAuth({
    policies: [
      definePolicies(service, Object.fromEntries(policies.map((policy, i) => [`m${i}`, policy]))),
    ],
    authenticate: authenticate("user"),
    internal: authenticate("service"),
    defaultPolicy,
  });
  const transport = inMemory(
    auth.guard((router) => serveEmpty(router, service)),
    {
      interceptors: auth.interceptors,
    },
  );
  const client = createClient(service, transport({ baseUrl: "https://in-memory" }));

  const passes = async (method: DescMethod, caller: Caller, index: number) => {
    const headers: [string, string][] = caller === "nobody" ? [] : [[`x-${caller.as}`, `${index}`]];
    try {
      await callEmpty(client, method, { headers });
      return true;
    } catch (error) {
      expect([Code.Unauthenticated, Code.PermissionDenied]).toContain(
        ConnectError.from(error).code,
      );
      return false;
    }
  };
  const sets: ReadonlySet<Caller>[] = [];
  for (const method of service.methods) {
    const passed = await Promise.all(callers.map((caller, i) => passes(method, caller, i)));
    sets.push(new Set(callers.filter((_, i) => passed[i])));
  }
  return sets;
}

test("a method that may be one of two that are gone is held against the first that it lets more in than", () => {
  const before = new Map<string, MethodPolicy>([
    ["a.S/Z", { kind: "requires", roles: ["x"], scopes: [] }],
    ["a.S/B", { kind: "requires", roles: ["y"], scopes: [] }],
    ["a.S/A", { kind: "requires", roles: ["z"], scopes: [] }],
  ]);
  const after = new Map<string, MethodPolicy>([
    ["a.S/New", { kind: "requires", roles: ["z"], scopes: [] }],
  ]);
  expect(comparePolicies(before, after).map(({ method, because }) => [method, because])).toEqual([
    ["a.S/A", []],
    ["a.S/B", []],
    ["a.S/New", ["role z is enough, if it was a.S/B"]],
    ["a.S/Z", []],
  ]);
});

test("nobody is let in where nothing is said before and after", () => {
  expect(gains({ kind: "unspecified" }, { kind: "unspecified" })).toEqual([]);
});

test("the table of changes has room for any number", () => {
  const count = 200_000; // more than a function takes arguments
  const after: MethodPolicy = { kind: "denied" };
  const changes = Array.from({ length: count }, (_, i) => ({
    ...({ method: `acme.v1.S/M${i}`, effect: "neutral", allowed: false, because: [] } as const),
    ...{ before: undefined, after },
  }));
  const lines = changesText(changes).trimEnd().split("\n");
  expect(lines).toHaveLength(count + 1);
  expect(lines[0]).toBe("neutral  acme.v1.S/M0       (new) -> denied");
});
