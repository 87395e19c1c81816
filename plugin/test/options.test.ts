import { describe, expect, test } from "vitest";
import { severities } from "../src/diagnostics.js";
import { parseOptions } from "../src/options.js";
import { bufGenerate, problemsOf, readFiles, request, runWithWarnings } from "./generate.js";

/** Options as they stand in `opt`, one after the other. */
function parse(...options: string[]) {
  return parseOptions(
    options.map((option) => {
      const [key = "", value = ""] = option.split("=");
      return { key, value };
    }),
  );
}

const warnings = [...severities].flatMap(([code, severity]) =>
  severity === "error" ? [] : [code],
);
const errors = [...severities].flatMap(([code, severity]) => (severity === "error" ? [code] : []));

test("the codes that can be silenced are those of the warnings", () => {
  expect(warnings).toEqual(["AUTH001", "AUTH005", "AUTH006", "AUTH008", "AUTH009", "AUTH011"]);
  expect(errors).toEqual(
    expect.arrayContaining(["AUTH002", "AUTH003", "AUTH004", "AUTH007", "AUTH010"]),
  );
});

describe("allow", () => {
  test.each(warnings)("=%s is accepted", (code) => {
    expect([...parse(`allow=${code}`).allow]).toEqual([code]);
  });

  test("is accepted several times, with the same code as well", () => {
    const { allow } = parse("allow=AUTH009", "allow=AUTH001", "allow=AUTH009");
    expect([...allow]).toEqual(["AUTH009", "AUTH001"]);
  });

  test("is empty where it is not given", () => {
    expect(parse().allow.size).toBe(0);
  });

  const known = "the warnings are AUTH001, AUTH005, AUTH006, AUTH008, AUTH009, AUTH011";

  test.each(errors)("=%s is refused, as that is an error", (code) => {
    expect(() => parse(`allow=${code}`)).toThrow(
      new Error(`option allow=${code}: an error cannot be silenced; ${known}`),
    );
  });

  test.each(["AUTH000", "AUTH099", "AUTH9", "auth009", "AUTH009 ", "AUTH009+AUTH001", "all", ""])(
    "=%s is refused, as there is no such code",
    (code) => {
      expect(() => parse(`allow=${code}`)).toThrow(
        new Error(`option allow=${code}: there is no such code; ${known}`),
      );
    },
  );

  test("with a list is refused with what to write instead: buf and protoc split it at the comma", () => {
    expect(() => parse("allow=AUTH009", "AUTH001")).toThrow(
      new Error("an option has one value; write allow=AUTH001"),
    );
  });
});

describe("strict", () => {
  test.each([
    { options: [], want: false },
    { options: ["strict=false"], want: false },
    { options: ["strict=true"], want: true },
    { options: ["strict"], want: true },
  ])("$options is $want", ({ options, want }) => {
    expect(parse(...options).strict).toBe(want);
  });

  test.each(["1", "yes", "True", "AUTH001"])("=%s is refused", (value) => {
    expect(() => parse(`strict=${value}`)).toThrow(
      new Error(`option strict=${value} must be true or false`),
    );
  });

  test("twice is refused", () => {
    expect(() => parse("strict=true", "strict=false")).toThrow(
      new Error("option strict is given twice"),
    );
  });
});

test("an option that there is not is refused with a list of those that there are", () => {
  expect(() => parse("colour=red")).toThrow(
    new Error(
      'there is no option "colour"; there are allow, strict, index_file, snapshot_file, matrix_file, openapi_security_file, and those of protoc-gen-es',
    ),
  );
});

describe("in a run", () => {
  const sources = {
    "a.proto": `syntax = "proto3"; package a; import "connectum/auth/v1/options.proto"; message M {}
service S {
  rpc A(M) returns (M);
  rpc B(M) returns (M) { option (connectum.auth.v1.method_auth) = { policy: "deny" }; }
}`,
  };
  const codesOf = (lines: readonly string[]) =>
    lines.map((line) => /(?:error|warning) AUTH\d+/.exec(line)?.[0]);

  test.each([
    { options: [], want: ["warning AUTH001", "warning AUTH009"] },
    { options: ["allow=AUTH001"], want: ["warning AUTH009"] },
    { options: ["allow=AUTH001", "allow=AUTH009"], want: [] },
    { options: ["allow=AUTH005"], want: ["warning AUTH001", "warning AUTH009"] },
    { options: ["strict=false"], want: ["warning AUTH001", "warning AUTH009"] },
    { options: ["strict=true", "allow=AUTH001", "allow=AUTH009"], want: [] },
  ])("$options: $want", ({ options, want }) => {
    const { files, warnings } = runWithWarnings(
      request(sources, ["target=ts", ...options].join(",")),
    );
    expect(codesOf(warnings)).toEqual(want);
    expect(Object.keys(files)).toEqual(["a_auth.ts"]);
  });

  test.each([
    { options: ["strict=true"], want: ["error AUTH001", "error AUTH009"] },
    { options: ["strict=true", "allow=AUTH001"], want: ["error AUTH009"] },
    { options: ["allow=AUTH001", "strict"], want: ["error AUTH009"] },
  ])("$options: $want, and no file", ({ options, want }) => {
    const req = request(sources, ["target=ts", ...options].join(","));
    expect(codesOf(problemsOf(req))).toEqual(want);
  });

  test("a code that there is not fails under buf, with the reason", () => {
    const { folder, result } = bufGenerate(sources, ["target=ts"], ["allow=AUTH003"]);
    const lines = new Set(result.stderr.split("\n").filter((line) => line.includes("AUTH003")));
    expect([...lines]).toEqual([
      expect.stringMatching(
        /^protoc-gen-connect-auth: invalid option "allow=AUTH003": option allow=AUTH003: an error cannot be silenced; /,
      ),
    ]);
    expect(result.status).not.toBe(0);
    expect(Object.keys(readFiles(folder)).filter((path) => path.includes("_auth"))).toEqual([]);
  });
});

test.each([
  { option: "index_file=auth.ts", message: "must have no extension: target says which" },
  { option: "index_file=auth.mjs", message: "must have no extension: target says which" },
  { option: "snapshot_file=policies.txt", message: "must end in .json" },
  { option: "matrix_file=a.txt", message: "must end in .md or .html" },
  { option: "matrix_file=../a.md", message: "must be a path inside of the output folder, with /" },
])("$option is refused: it $message", ({ option, message }) => {
  expect(() => parse(option)).toThrow(new Error(`option ${option} ${message}`));
});
