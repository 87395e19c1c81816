import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  bufGenerate,
  generate,
  problemsOf,
  readFiles,
  request,
  root,
  typeCheck,
  writeFiles,
} from "./generate.js";

const golden = join(import.meta.dirname, "golden");

/** Proto files of each syntax and edition, with options, comments and names of all kinds. */
const breadth = readFiles(join(golden, "breadth", "proto"));

/** A service whose options come from a copy of the schema under other names. */
const foreign = readFiles(join(golden, "foreign", "proto"));

/** Runs `buf generate` on them: the folder, and the files that are ours. */
function generateBreadth(parameters: readonly string[]): {
  folder: string;
  ours: Record<string, string>;
} {
  const { folder, result } = bufGenerate(breadth, parameters);
  expect(result.stderr).toBe("");
  const files = Object.entries(readFiles(join(folder, "gen")));
  return { folder, ours: Object.fromEntries(files.filter(([path]) => path.includes("_auth."))) };
}

/** The same file for other parameters, with another end of the imports of messages. */
function withImports(
  content: string | undefined,
  parameters: readonly string[],
  end: string,
): string {
  return (content ?? "")
    .replace(/(?<=with parameter ").*(?=")/, parameters.join(","))
    .replace(/(?<=from "\.\/\w+_pb)\.js(?=";)/g, end);
}

/** Lets Node load the scripts in a folder, and returns the policies in their tables as JSON. */
function policiesIn(folder: string, paths: readonly string[], load: "import" | "require"): unknown {
  writeFiles(folder, {
    "gen/package.json": JSON.stringify({ type: load === "import" ? "module" : "commonjs" }),
    "node_modules/README": "",
    "run.cjs": `
const describe = (module) => Object.entries(module)
  .filter(([name]) => name.endsWith("Policies"))
  .map(([, { service, methods }]) => [service.typeName, Object.entries(methods)])
  .sort();
Promise.all(${JSON.stringify(paths)}.map(async (path) => describe(await ${load}("./gen/" + path))))
  .then((tables) => console.log(JSON.stringify(tables)));`,
  });
  symlinkSync(root, join(folder, "node_modules", "connectrpc-auth"));
  const args = ["--no-warnings", "run.cjs"];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" }));
}

describe("for proto files of all kinds, the output", () => {
  // Accept a change with `npx vitest run plugin/test/editions -u`, and read the difference.
  test.each([
    { name: "ts", parameters: ["target=ts", "import_extension=js"] },
    { name: "js", parameters: ["target=js+dts", "import_extension=js"] },
  ])("in $name is what it was, and compiles", async ({ name, parameters }) => {
    const { folder } = generateBreadth(parameters);
    const files = readFiles(join(folder, "gen"));
    for (const [path, content] of Object.entries(files)) {
      await expect(content).toMatchFileSnapshot(join(golden, "breadth", name, path));
    }
    expect(Object.keys(files)).toEqual(Object.keys(readFiles(join(golden, "breadth", name))));
    expect(typeCheck(folder, "newest")).toBe("");
    expect(typeCheck(folder, "5.4")).toBe("");
  });

  test.each([
    {
      extension: "none",
      compiler: { module: "esnext", moduleResolution: "bundler" },
      end: "",
    },
    { extension: "ts", compiler: { allowImportingTsExtensions: true }, end: ".ts" },
  ])(
    "with import_extension=$extension differs in imports only, and compiles",
    ({ extension, compiler, end }) => {
      const parameters = ["target=ts", `import_extension=${extension}`];
      const { folder, ours } = generateBreadth(parameters);
      const others = generateBreadth(["target=ts", "import_extension=js"]).ours;
      for (const [path, content] of Object.entries(ours)) {
        expect(content).toBe(withImports(others[path], parameters, end));
      }
      expect(typeCheck(folder, "newest", compiler)).toBe("");
    },
  );

  test("with map_imports of the options is the same: it imports nothing of them", () => {
    const parameters = ["target=ts", "import_extension=js"];
    const mapped = [...parameters, "map_imports=connectum/**:connectrpc-auth/gen"];
    const plain = generate(breadth, parameters.join(","));
    const files = generate(breadth, mapped.join(","));
    expect(Object.keys(files)).toEqual(Object.keys(plain));
    for (const [path, content] of Object.entries(files)) {
      expect(content).toBe(withImports(plain[path], mapped, ".js"));
    }
  });

  test("in CommonJS is what it was, compiles, and says the same when Node requires it", async () => {
    const parameters = ["target=js+dts", "js_import_style=legacy_commonjs"];
    const { folder, ours } = generateBreadth(parameters);
    const modules = generateBreadth(["target=js+dts", "import_extension=js"]);
    const [scripts = [], declarations = []] = [".js", ".d.ts"].map((extension) =>
      Object.keys(ours).filter((path) => path.endsWith(extension)),
    );
    for (const path of scripts) {
      await expect(ours[path]).toMatchFileSnapshot(join(golden, "breadth", "commonjs", path));
    }
    for (const path of declarations) {
      expect(ours[path]).toBe(withImports(modules.ours[path], parameters, ""));
    }
    const bundler = { module: "preserve", moduleResolution: "bundler" };
    expect(typeCheck(folder, "newest", bundler)).toBe("");
    expect(typeCheck(folder, "5.4", bundler)).toBe("");

    const policies = policiesIn(folder, scripts, "require");
    expect(policies).toEqual(policiesIn(modules.folder, scripts, "import"));
    expect(JSON.stringify(policies)).toContain('["__proto__",{"kind":"authenticated"}]');
  });
});

describe("a service cannot have a name that no JavaScript module can declare", () => {
  test.each(["arguments", "await", "eval"])("%s", (name) => {
    const sources = { "a.proto": `syntax = "proto3";\nservice ${name} {}` };
    expect(problemsOf(request(sources))).toEqual([
      `a.proto:2:1: error AUTH010 ${name}: "${name}" cannot be declared in a JavaScript module, so the code that protoc-gen-es prints for it does not run either; rename it`,
    ]);
    const renamed = { "a.proto": `syntax = "proto3"; service ${name}_ { }` };
    expect(problemsOf(request(renamed))).toEqual([]);
  });
});

test("options in another copy of the schema, with other names, come out alike, and compile", async () => {
  const noOptions = { "connectum/auth/v1/options.proto": 'syntax = "proto3";' };
  const { folder, result } = bufGenerate({ ...foreign, ...noOptions });
  expect(result.stderr).toBe("");
  const files = Object.entries(readFiles(join(folder, "gen", "acme")));
  for (const [path, content] of files) {
    await expect(content).toMatchFileSnapshot(join(golden, "foreign", "ts", "acme", path));
  }
  expect(files.map(([path]) => path)).toContain("shop/shop_auth.ts");
  expect(typeCheck(folder, "newest")).toBe("");
  expect(typeCheck(folder, "5.4")).toBe("");
});
