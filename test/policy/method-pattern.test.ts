import { describe, expect, test } from "vitest";
import { createMethodMatcher, matchesMethodPattern } from "../../src/policy/method-pattern.js";
import { buildService } from "../support/build-service.js";

const service = buildService("Svc", undefined, [{ name: "Get" }, { name: "Getter" }]);
const other = buildService("Svc2", undefined, [{ name: "Get" }]);
const methods = [...service.methods, ...other.methods];

const cases = [
  { patterns: [], want: [] },
  { patterns: ["*"], want: ["Svc/Get", "Svc/Getter", "Svc2/Get"] },
  { patterns: ["test.v1.Svc/*"], want: ["Svc/Get", "Svc/Getter"] },
  { patterns: ["test.v1.Svc/Get"], want: ["Svc/Get"] },
  { patterns: ["test.v1.Svc/Get", "test.v1.Svc2/*"], want: ["Svc/Get", "Svc2/Get"] },
  { patterns: ["v1.Svc/Get", "test.v1.svc/*", "test.v1.Svc/get"], want: [] },
];

describe("method patterns", () => {
  test.each(cases)("$patterns name $want", ({ patterns, want }) => {
    const names = want.map((name) => `test.v1.${name}`);
    const isNamed = createMethodMatcher(patterns);
    const nameOf = (method: (typeof methods)[number]) => `${method.parent.typeName}/${method.name}`;
    expect(methods.filter(isNamed).map(nameOf)).toEqual(names);
    expect(
      methods
        .filter((method) => matchesMethodPattern(method.parent.typeName, method.name, patterns))
        .map(nameOf),
    ).toEqual(names);
  });

  test.each([
    "",
    "Svc",
    "/test.v1.Svc/Get",
    "test.v1.Svc/",
    "test.v1.Svc/Get*",
    "test.v1.*/Get",
    "test.v1.*",
    "**",
    "test.v1.Svc/Get ",
    "test..Svc/Get",
    "*/Get",
  ])("rejects %j", (pattern) => {
    expect(() => createMethodMatcher([pattern])).toThrow(
      new TypeError(
        `method pattern ${JSON.stringify(pattern)} must be "package.Service/Method", "package.Service/*" or "*"`,
      ),
    );
  });
});
