import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bufGenerate, readFiles, typeCheck, writeFiles } from "./generate.js";

/** Runs a module that was written beside generated code. It exports what came out as `results`. */
async function run(folder: string, module: string): Promise<unknown> {
  writeFiles(folder, { "run.ts": module });
  expect(typeCheck(folder)).toBe("");
  expect(typeCheck(folder, "5.4")).toBe("");
  const { results }: { results: unknown } = await import(join(folder, "run.ts"));
  return results;
}

/** The start of such a module: a server that answers every method with its name and the credential it got. */
const harness = `
import { type DescService, fromJson } from "@bufbuild/protobuf";
import { createRouterTransport, type Interceptor, type Transport } from "@connectrpc/connect";
import { Auth, type JwtAuth } from "connectrpc-auth";

export const credentials: { credentials: JwtAuth; internalCredentials: JwtAuth } = {
  credentials: Auth.jwt("user"),
  internalCredentials: Auth.jwt("service"),
};

export const at: { baseUrl: string } = { baseUrl: "https://api.example.com" };

type Options = { baseUrl: string; interceptors?: Interceptor[] };

export function serve(...services: DescService[]): (options: Options) => Transport {
  const answer: Interceptor = (next) => async (req) => {
    if (req.stream) {
      return next(req);
    }
    const { service, method } = req;
    const text = \`\${method} \${req.header.get("authorization") ?? "nothing"}\`;
    const message = fromJson(method.output, { text });
    const header = new Headers({ "content-type": req.header.get("content-type") ?? "" });
    return { stream: false, service, method, header, trailer: new Headers(), message };
  };
  return (options) =>
    createRouterTransport((router) => services.forEach((service) => router.service(service, {})), {
      router: { interceptors: [answer] },
      transport: options,
    });
}
`;

const options = 'import "connectum/auth/v1/options.proto";';
const open = "option (connectum.auth.v1.method_auth) = { public: true };";
const allow = 'option (connectum.auth.v1.method_auth) = { policy: "allow" };';
const internal = "option (connectum.auth.v1.method_auth) = { internal: true };";

test.each([
  {
    what: "a type, a variable or a reserved word",
    names: [
      ...["Auth", "args", "auth", "O", "A", "S", "_", "X_Y", "FooSchema"],
      ...["Object", "Pick", "Omit", "NoInfer", "Promise", "string", "readonly", "type"],
      ...["class", "default", "delete", "enum", "async"],
    ],
  },
  {
    what: "a type that the file imports",
    names: [
      ...["Service", "ServicePolicies", "ServiceClient", "ServiceClientArgs", "Client"],
      ...["Transport", "TransportOptions", "AuthOptions", "AuthTransport", "Exact", "Slots"],
    ],
  },
  {
    what: "a function that the file imports, or has itself",
    names: ["createServiceClient", "definePolicies", "getPublicMethods", "getInternalMethods"],
  },
])("services named like $what work", async ({ names }) => {
  const proto = `syntax = "proto3"; ${options}
message M { string text = 1; }
message Foo {}
${names.map((name) => `service ${name} { rpc Get(M) returns (M) { ${open} } rpc Put(M) returns (M) { ${allow} } rpc Run(M) returns (M) { ${internal} } }`).join("\n")}`;
  const { folder, result } = bufGenerate({ "odd.proto": proto });
  expect(result.stderr).toBe("");
  const module = `import * as odd from "./gen/odd_auth.js";
import { at, credentials, serve } from "./harness.js";
const results: Record<string, string[]> = {};
${names
  .map(
    (name) => `{
  const client = odd.create${name}Client(serve(odd.${name}Policies.service), at, credentials);
  results[${JSON.stringify(name)}] = [(await client.get({})).text, (await client.put({})).text, (await client.run({})).text];
}`,
  )
  .join("\n")}
results["public"] = [...odd.getPublicMethods()];
results["internal"] = [...odd.getInternalMethods()];
export { results };
`;
  writeFiles(folder, { "harness.ts": harness });
  expect(await run(folder, module)).toEqual({
    ...Object.fromEntries(
      names.map((name) => [
        name,
        [
          `rpc ${name}.Get nothing`,
          `rpc ${name}.Put Bearer user`,
          `rpc ${name}.Run Bearer service`,
        ],
      ]),
    ),
    public: names.map((name) => `${name}/Get`),
    internal: names.map((name) => `${name}/Run`),
  });
});

describe("methods named like properties that every object has", () => {
  const methods = ["constructor", "then", "toString", "__proto__", "delete", "hasOwnProperty"];
  const proto = `syntax = "proto3"; package odd.v1; ${options}
message M { string text = 1; }
service Odd {
  ${methods.map((name, i) => `rpc ${name}(M) returns (M) { ${[open, "", internal][i % 3]} }`).join("\n  ")}
}`;

  test("are entries of the table, with a computed key for __proto__", () => {
    const { folder } = bufGenerate({ "odd/v1/odd.proto": proto });
    const generated = readFiles(join(folder, "gen"))["odd/v1/odd_auth.ts"] ?? "";
    expect(generated.split("\n").filter((line) => line.includes("{ kind:"))).toEqual([
      '    constructor$: { kind: "public" },',
      '    then: { kind: "unspecified" },',
      '    toString$: { kind: "internal", roles: [], scopes: [] },',
      '    ["__proto__"]: { kind: "public" },',
      '    delete: { kind: "unspecified" },',
      '    hasOwnProperty: { kind: "internal", roles: [], scopes: [] },',
    ]);
  });

  test("can be called, each with its own credential", async () => {
    const { folder } = bufGenerate({ "odd/v1/odd.proto": proto });
    writeFiles(folder, { "harness.ts": harness });
    const module = `import { createOddClient, OddPolicies } from "./gen/odd/v1/odd_auth.js";
import { at, credentials, serve } from "./harness.js";
const client = createOddClient(serve(OddPolicies.service), at, credentials);
export const results: string[] = [
  (await client.constructor$({})).text,
  (await client.then({})).text,
  (await client.toString$({})).text,
  await client["__proto__"]({}).then(({ text }) => text, String),
  (await client.delete({})).text,
  (await client.hasOwnProperty({})).text,
];
`;
    expect(await run(folder, module)).toEqual([
      "rpc odd.v1.Odd.constructor nothing",
      "rpc odd.v1.Odd.then Bearer user",
      "rpc odd.v1.Odd.toString Bearer service",
      // the call arrives; Connect's router loses the handler of a method with this name
      "ConnectError: [unimplemented] RouterHttpClient: no handler registered for /odd.v1.Odd/__proto__",
      "rpc odd.v1.Odd.delete Bearer user",
      "rpc odd.v1.Odd.hasOwnProperty Bearer service",
    ]);
  });
});

test("files without a package, with nested packages and with two services work together", async () => {
  const file = (pkg: string) => `syntax = "proto3"; ${pkg} ${options}
message M { string text = 1; }
service One { rpc Get(M) returns (M) { ${open} } }
service Two { rpc Get(M) returns (M) { ${internal} } }`;
  const { folder, result } = bufGenerate({
    "none.proto": file(""),
    "outer/v1/outer.proto": file("package outer.v1;"),
    "outer/v1/inner/deep-er/inner.test.proto": file("package outer.v1.inner;"),
  });
  expect(result.stderr).toBe("");
  writeFiles(folder, { "harness.ts": harness });
  const module = `import * as none from "./gen/none_auth.js";
import * as outer from "./gen/outer/v1/outer_auth.js";
import * as inner from "./gen/outer/v1/inner/deep-er/inner.test_auth.js";
import { createAuthTransport } from "connectrpc-auth";
import { at, credentials, serve } from "./harness.js";
const services = [none, outer, inner].flatMap((file) => [file.OnePolicies.service, file.TwoPolicies.service]);
const transport = createAuthTransport(serve(...services), at, credentials);
export const results: (string | readonly string[])[] = [
  ${["none", "outer", "inner"]
    .map(
      (file) => `(await ${file}.createOneClient(transport).get({})).text,
  (await ${file}.createTwoClient(transport).get({})).text,
  ${file}.getPublicMethods(),
  ${file}.getInternalMethods(),`,
    )
    .join("\n  ")}
];
`;
  expect(await run(folder, module)).toEqual(
    ["", "outer.v1.", "outer.v1.inner."].flatMap((pkg) => [
      `rpc ${pkg}One.Get nothing`,
      `rpc ${pkg}Two.Get Bearer service`,
      [`${pkg}One/Get`],
      [`${pkg}Two/Get`],
    ]),
  );
});

test("calls that the credentials do not reach are errors of one line that name the method", () => {
  const { folder } = bufGenerate({
    "a.proto": `syntax = "proto3"; ${options}
message M {}
service All { rpc Open(M) returns (M) { ${open} } rpc Put(M) returns (M) { ${allow} } rpc Run(M) returns (M) { ${internal} } }
service Closed { rpc Put(M) returns (M); }
service Opened { rpc Open(M) returns (M) { ${open} } }`,
  });
  writeFiles(folder, {
    "harness.ts": harness,
    "use.ts": `import { createAllClient, createClosedClient, createOpenedClient } from "./gen/a_auth.js";
import { at, credentials, serve } from "./harness.js";
createAllClient(serve(), at).put({});
createAllClient(serve(), at, { credentials: credentials.credentials }).run({});
createAllClient(serve(), at, { internalCredentials: credentials.credentials }).put({});
createAllClient(serve(), at, credentials).put({});
createClosedClient(serve(), at).put({});
createOpenedClient(serve(), at).open({});
`,
  });
  expect(
    typeCheck(folder)
      .replaceAll(/^\S*\/use/gm, "use")
      .trimEnd()
      .split("\n"),
  ).toEqual([
    "use.ts(3,30): error TS2339: Property 'put' does not exist on type 'AllPublicClient'.",
    "use.ts(4,72): error TS2339: Property 'run' does not exist on type 'AllUserClient'.",
    "use.ts(5,80): error TS2339: Property 'put' does not exist on type 'AllInternalClient'.",
    "use.ts(7,33): error TS2339: Property 'put' does not exist on type 'ClosedPublicClient'.",
  ]);
});
