import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createUserProject, type Diagnostic, type UserProject } from "./compile.js";

const file = "types/types.test-d.ts";
const source = readFileSync(new URL("types.test-d.ts", import.meta.url), "utf8");
const directive = /^\s*\/\/ @ts-expect-error (.*)$/;

/** What must not compile: the line, what the newest compiler says, and whether it needs more than one line. */
const mistakes = source.split("\n").flatMap((text, index, lines) => {
  const message = directive.exec(text)?.[1];
  const comment = lines[index - 1] ?? "";
  return message === undefined
    ? []
    : [{ line: index + 2, message, oneLine: !/^\s*\/\/ (?:Two|Several) lines/.test(comment) }];
});

const strict = {
  target: "es2022",
  lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
  types: ["node"],
  strict: true,
  skipLibCheck: false,
};
const exact = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
const nodenext = { ...strict, module: "nodenext", moduleResolution: "nodenext" };
const bundler = { ...strict, module: "esnext", moduleResolution: "bundler" };

let project: UserProject;
beforeAll(() => {
  project = createUserProject();
}, 60_000);
afterAll(() => project.remove());

/** Without what is wrong in declarations of libraries that compilers of that age do not understand. */
function ours(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const library =
    /(?:^|\/)node_modules\/(?!connectrpc-auth\/)(?:@[^/]+\/)?[^/]+\/[^:]*\.d\.[cm]?ts$/;
  return diagnostics.filter((diagnostic) => !library.test(diagnostic.file));
}

describe("clients compile as they should", () => {
  test.each([
    { compiler: "typescript", name: "nodenext, exact", settings: { ...nodenext, ...exact } },
    { compiler: "typescript", name: "nodenext", settings: nodenext },
    { compiler: "typescript", name: "bundler, exact", settings: { ...bundler, ...exact } },
    { compiler: "typescript", name: "bundler", settings: bundler },
    { compiler: "typescript-5.4", name: "nodenext, exact", settings: { ...nodenext, ...exact } },
    { compiler: "typescript-5.4", name: "bundler", settings: bundler },
  ])(
    "with $compiler, $name",
    ({ compiler, settings }) => {
      project.write(file, source);
      expect(ours(project.compile(compiler, settings))).toEqual([]);
    },
    60_000,
  );
});

describe("what the compiler says", () => {
  beforeAll(() => project.write(file, source.replaceAll("@ts-expect-error", "must not compile:")));

  test.each([
    { name: "exact optional properties", settings: { ...nodenext, ...exact } },
    { name: "optional properties that may be undefined", settings: nodenext },
  ])(
    "is one line that names the mistake, with $name",
    ({ settings }) => {
      const diagnostics = project.compile("typescript", settings);
      expect(diagnostics.map(({ line, file }) => [line, file])).toEqual(
        mistakes.map(({ line }) => [line, file]),
      );
      for (const [i, { message, more }] of diagnostics.entries()) {
        const [start = "", end = ""] = mistakes[i]?.message.split("…") ?? [];
        expect(message.slice(0, start.length)).toBe(start);
        expect(message.slice(message.length - end.length)).toBe(end);
        expect({ message, oneLine: more.length === 0 }).toEqual({
          message: end === "" ? start : message,
          oneLine: mistakes[i]?.oneLine,
        });
      }
    },
    60_000,
  );

  test("names the same thing with TypeScript 5.4", () => {
    const diagnostics = ours(project.compile("typescript-5.4", nodenext));
    const thing = (message: string) => /'([^']+)'|got \d/.exec(message)?.[0];
    expect(diagnostics.map(({ line, message }) => [line, thing(message)])).toEqual(
      mistakes.map(({ line, message }) => [line, thing(message)]),
    );
  }, 60_000);

  test("names an unknown option of a variable in the second line", () => {
    const diagnostics = project.compile("typescript", nodenext);
    const found = diagnostics.find(({ message }) => message.startsWith("Argument of type '{ cred"));
    expect(found?.more).toEqual([
      "Property '[unknownOption]' is missing in type '{ credentials: JwtAuth; internalCredential: JwtAuth; }' but required in type 'UnknownOption<\"internalCredential\">'.",
    ]);
  });
});
