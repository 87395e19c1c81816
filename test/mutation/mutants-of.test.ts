import { describe, expect, test } from "vitest";
import { mutantsOf } from "./mutants-of.js";
import { survivors } from "./survivors.js";

test.each<{ source: string; want: string[] }>([
  { source: "x = a === b;", want: ["x = ((a) !== (b));"] },
  { source: "x = a < b;", want: ["x = ((a) >= (b));"] },
  { source: "x = a ?? b;", want: ["x = (a);", "x = (b);", "x = ((b) ?? (a));"] },
  {
    source: "x = a || b;",
    want: ["x = (a);", "x = (b);", "x = ((a) && (b));", "x = (!(a) || (b));", "x = ((a) || !(b));"],
  },
  { source: "x = c ? a : b;", want: ["x = (a);", "x = (b);", "x = (c ? (b) : (a));"] },
  { source: "x = !a;", want: ["x = (a);"] },
  { source: "x = a?.b;", want: ["x = a.b;"] },
  { source: "x = { a, ...b };", want: ["x = {...b};", "x = {a};"] },
  { source: "x = [a, b];", want: ["x = [b];", "x = [a];"] },
  { source: "x = [];", want: ['x = ["mutant"];'] },
  { source: "x = true;", want: ["x = false;"] },
  { source: "x = undefined;", want: ["x = null;"] },
  {
    source: "if (a) b();",
    want: ["if (true) b();", "if (false) b();", "if (!(a)) b();", "if (a) ;"],
  },
  {
    source: "switch (a) { case b: default: c(); }",
    want: [
      "switch (a) {  default: c(); }",
      "switch (a) { case b:  }",
      "switch (a) { case b: default: ; }",
    ],
  },
  {
    source: "function f() { return a; }",
    want: ["function f() { ; }", "function f() { return; }"],
  },
  { source: 'interface A { readonly a: "a" | undefined }', want: [] },
])("makes of $source each mistake of one place", ({ source, want }) => {
  const made = mutantsOf(source).map((mutant) => mutant.source);
  expect(made.filter((text) => text !== ";")).toEqual(want);
});

describe("a mutant survives", () => {
  const subject = { source: "\nx = a === b;", load: (source: string) => source };
  const isSame = {
    name: "compares",
    check: (text: string) => expect(text).toContain("==="),
  };
  const isThere = {
    name: "is there",
    check: (text: string) => expect(text).toContain("x ="),
  };

  test("where no check looks at it", () => {
    expect(survivors({ ...subject, checks: [isThere] })).toEqual([
      {
        name: "module: a === b → ((a) !== (b))",
        line: 2,
        source: "\nx = ((a) !== (b));",
      },
    ]);
  });

  test("unless one check fails", () => {
    expect(survivors({ ...subject, checks: [isThere, isSame] })).toEqual([]);
  });
});
