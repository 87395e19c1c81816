import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compare } from "./compare.js";
import { connectAuthPlugin, esPlugin, temporaryDirectory } from "./plugin-runs.js";
import type { Row } from "./row.js";
import { serviceFile, servicesPerFile, writeServices } from "./write-services.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const count = 1000;

/**
 * What generated code costs the type checker: a program that calls each method
 * of many services once, with clients of ours and with plain ones.
 */
export async function benchTypeCheck(): Promise<Row[]> {
  return [await typeCheckRow("ts"), await typeCheckRow("js+dts")];
}

async function typeCheckRow(target: "ts" | "js+dts"): Promise<Row> {
  const directory = temporaryDirectory();
  const ending = target === "ts" ? "ts" : "d.ts";
  generate(directory, writeServices(directory, count), target);
  linkPackages(directory);
  writeProgram(directory, "plain", `*_pb.${ending}`, [
    'import { createClient } from "@connectrpc/connect";',
    ...imports((number) => `Record${number}Service`, "_pb.js"),
    "const transport = createConnectTransport(options);",
    ...calls((number) => `createClient(Record${number}Service, transport)`),
  ]);
  writeProgram(directory, "ours", `*.${ending}`, [
    'import { Auth, createAuthTransport } from "connectrpc-auth";',
    ...imports((number) => `createRecord${number}ServiceClient`, "_auth.js"),
    "const transport = createAuthTransport(createConnectTransport, options, {",
    '  credentials: async () => Auth.jwt("user"),',
    '  internalCredentials: async () => Auth.jwt("service"),',
    "});",
    ...calls((number) => `createRecord${number}ServiceClient(transport)`),
  ]);
  return {
    name: `type check of clients of ${count.toLocaleString("en")} services, target=${target}`,
    against: "plain Connect clients",
    value: await compare(
      () => run(directory, "tsc", "-p", "tsconfig.ours.json"),
      () => run(directory, "tsc", "-p", "tsconfig.plain.json"),
      { rounds: 9, callsPerRound: 1 },
    ),
    unit: "ratio",
    bound: 1.25,
    aim: 1.1,
  };
}

function generate(directory: string, protos: string, target: string): void {
  const plugins = [esPlugin, connectAuthPlugin].map((local) => ({
    local: [process.execPath, local],
    out: "gen",
    strategy: "all",
    opt: [`target=${target}`, "import_extension=js"],
  }));
  writeFileSync(join(directory, "buf.gen.yaml"), JSON.stringify({ version: "v2", plugins }));
  run(directory, "buf", "generate", protos);
}

function linkPackages(directory: string): void {
  const modules = join(directory, "node_modules");
  mkdirSync(modules);
  for (const scope of ["@bufbuild", "@connectrpc"]) {
    symlinkSync(join(root, "node_modules", scope), join(modules, scope));
  }
  symlinkSync(root, join(modules, "connectrpc-auth"));
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
}

function writeProgram(
  directory: string,
  name: string,
  generated: string,
  lines: readonly string[],
): void {
  const program = [
    'import { createConnectTransport } from "@connectrpc/connect-web";',
    'const options = { baseUrl: "https://api.example.com" };',
    ...lines,
    "",
  ];
  writeFileSync(join(directory, `${name}.ts`), program.join("\n"));
  const config = {
    compilerOptions: {
      target: "es2022",
      lib: ["es2023", "dom"],
      module: "nodenext",
      types: [],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      skipLibCheck: true,
      noEmit: true,
    },
    include: [`gen/**/${generated}`, `${name}.ts`],
  };
  writeFileSync(join(directory, `tsconfig.${name}.json`), JSON.stringify(config));
}

const numbers = Array.from({ length: count }, (_, number) => number);

function imports(nameOf: (number: number) => string, ending: string): string[] {
  return numbers
    .filter((number) => number % servicesPerFile === 0)
    .map((first) => {
      const names = numbers.slice(first, first + servicesPerFile).map(nameOf);
      return `import { ${names.join(", ")} } from "./gen/${serviceFile(first)}${ending}";`;
    });
}

function calls(clientOf: (number: number) => string): string[] {
  return numbers.flatMap((number) => [
    `const client${number} = ${clientOf(number)};`,
    `await client${number}.getRecord${number}({ name: "a" });`,
    `await client${number}.listRecord${number}s({ filter: "a" });`,
    `await client${number}.createRecord${number}({ name: "a", labels: ["b"] });`,
    `await client${number}.updateRecord${number}({ name: "a", title: "b" });`,
    `await client${number}.deleteRecord${number}({ name: "a" });`,
    `for await (const { title } of client${number}.watchRecord${number}s({})) console.log(title);`,
    `await client${number}.reindexRecord${number}s({});`,
    `await client${number}.checkRecord${number}s({});`,
  ]);
}

function run(directory: string, program: string, ...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(
    join(root, "node_modules/.bin", program),
    args,
    { cwd: directory, encoding: "utf8", maxBuffer: 1 << 28 },
  );
  if (status !== 0) {
    throw new Error(`${program} failed: ${error ?? (stdout + stderr).slice(0, 2000)}`);
  }
}
