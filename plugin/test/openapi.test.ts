import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCodeBlocks } from "../../test/support/readme.js";
import { createPlugin } from "../src/plugin.js";
import { applyOverlay, listOf, objectOf, type Tree } from "./apply-overlay.js";
import { bufGenerate, generate, problemsOf, request, runPlugin, type Sources } from "./generate.js";
import { parseYaml } from "./parse-yaml.js";

const yaml = "target=ts,openapi_security_file=openapi/security.yaml";

/** The overlay for proto sources. */
function overlayOf(sources: Sources): Tree {
  return parseYaml(generate(sources, yaml)["openapi/security.yaml"] ?? "");
}

/** A service whose methods have these options. `service` stands before the methods. */
function serviceFile(methods: Readonly<Record<string, string>>, service = ""): Sources {
  const rpcs = Object.entries(methods).map(
    ([name, options]) => `rpc ${name}(M) returns (M) { ${options} }`,
  );
  return {
    "acme/v1/shop.proto": `syntax = "proto3"; package acme.v1; import "connectum/auth/v1/options.proto";
message M {} service Shop { ${service} ${rpcs.join("\n")} }`,
  };
}

const auth = (rules: string) => `option (connectum.auth.v1.method_auth) = { ${rules} };`;
const noSideEffects = "option idempotency_level = NO_SIDE_EFFECTS;";

/** A document with the shape of those that protoc-gen-connect-openapi makes: an operation for each path and verb. */
function openapi(operations: Readonly<Record<string, Tree>>): Tree {
  const paths: { [path: string]: { [verb: string]: Tree } } = {};
  for (const [key, operation] of Object.entries(operations)) {
    const [verb = "", path = ""] = key.split(" ");
    paths[path] = {
      ...paths[path],
      [verb]: {
        tags: ["acme.v1.Shop"],
        summary: "A summary.",
        operationId: path.slice(1).replace("/", "."),
        responses: { "200": { description: "Success" } },
        ...objectOf(operation),
      },
    };
  }
  return {
    openapi: "3.1.0",
    info: { title: "acme.v1", version: "1.0.0" },
    paths,
    components: { schemas: { "acme.v1.M": { type: "object" } } },
    security: [],
  };
}

/** What a document says of the security of an operation. */
function securityOf(document: Tree, path: string, verb = "post"): Tree | undefined {
  const { paths } = objectOf(document);
  return objectOf(objectOf(objectOf(paths)[path])[verb]).security;
}

function schemesOf(document: Tree): Tree | undefined {
  return objectOf(objectOf(document).components).securitySchemes;
}

describe("the overlay adds to an operation", () => {
  test.each([
    {
      name: "nothing to show for a public method",
      rules: auth("public: true"),
      security: [],
      policy: { kind: "public" },
    },
    {
      name: "credentials with the scopes",
      rules: auth('requires: { roles: ["admin", "support"], scopes: ["shop:read", "shop:write"] }'),
      security: [{ credentials: ["shop:read", "shop:write"] }],
      policy: {
        kind: "requires",
        roles: ["admin", "support"],
        scopes: ["shop:read", "shop:write"],
      },
    },
    {
      name: "credentials without scopes where roles are asked for",
      rules: auth('requires: { roles: ["admin"] }'),
      security: [{ credentials: [] }],
      policy: { kind: "requires", roles: ["admin"], scopes: [] },
    },
    {
      name: "credentials of any caller",
      rules: auth('policy: "allow"'),
      security: [{ credentials: [] }],
      policy: { kind: "authenticated" },
    },
    {
      name: "credentials where nobody passes",
      rules: auth('policy: "deny"'),
      security: [{ credentials: [] }],
      policy: { kind: "denied" },
    },
    {
      name: "credentials where the server decides",
      rules: "",
      security: [{ credentials: [] }],
      policy: { kind: "unspecified" },
    },
    {
      name: "internal credentials with the scopes",
      rules: auth('internal: true, requires: { roles: ["indexer"], scopes: ["index"] }'),
      security: [{ internalCredentials: ["index"] }],
      policy: { kind: "internal", roles: ["indexer"], scopes: ["index"] },
    },
  ])("$name", ({ rules, security, policy }) => {
    const document = openapi({ "post /acme.v1.Shop/Buy": {} });
    const secured = applyOverlay(document, overlayOf(serviceFile({ Buy: rules })));
    expect(objectOf(objectOf(objectOf(secured).paths)["/acme.v1.Shop/Buy"]).post).toEqual({
      tags: ["acme.v1.Shop"],
      summary: "A summary.",
      operationId: "acme.v1.Shop.Buy",
      responses: { "200": { description: "Success" } },
      security,
      "x-connectrpc-auth": policy,
    });
    const { paths: _, components, ...others } = objectOf(secured);
    expect(others).toEqual({
      openapi: "3.1.0",
      info: { title: "acme.v1", version: "1.0.0" },
      security: [],
    });
    expect(objectOf(components).schemas).toEqual({ "acme.v1.M": { type: "object" } });
  });
});

describe("the schemes", () => {
  const internal = auth("internal: true");
  test.each([
    { methods: { A: auth("public: true") }, want: undefined },
    { methods: { A: "" }, want: ["credentials"] },
    { methods: { A: internal }, want: ["internalCredentials"] },
    {
      methods: { A: internal, B: auth("public: true"), C: "" },
      want: ["credentials", "internalCredentials"],
    },
  ])("are those that are used: $want", ({ methods, want }) => {
    const secured = applyOverlay(
      openapi({ "post /acme.v1.Shop/A": {} }),
      overlayOf(serviceFile(methods)),
    );
    const schemes = schemesOf(secured);
    expect(schemes && Object.keys(objectOf(schemes))).toEqual(want);
    for (const scheme of Object.values(objectOf(schemes ?? {}))) {
      expect(scheme).toMatchObject({ type: "http", scheme: "bearer" });
    }
  });

  test("are added to a document without components, and beside other schemes", () => {
    const overlay = overlayOf(serviceFile({ A: "" }));
    expect(schemesOf(applyOverlay({ openapi: "3.1.0", paths: {} }, overlay))).toHaveProperty(
      "credentials",
    );
    const basic = { type: "http", scheme: "basic" };
    const document = { components: { securitySchemes: { basic } }, paths: {} };
    expect(schemesOf(applyOverlay(document, overlay))).toMatchObject({ basic, credentials: {} });
  });
});

describe("the operations of a method", () => {
  const both = openapi({ "get /acme.v1.Shop/List": {}, "post /acme.v1.Shop/List": {} });

  test("are GET and POST where Connect serves both", () => {
    const overlay = overlayOf(serviceFile({ List: noSideEffects }));
    const secured = applyOverlay(both, overlay);
    expect(securityOf(secured, "/acme.v1.Shop/List", "get")).toEqual([{ credentials: [] }]);
    expect(securityOf(secured, "/acme.v1.Shop/List", "post")).toEqual([{ credentials: [] }]);
    const onlyGet = applyOverlay(openapi({ "get /acme.v1.Shop/List": {} }), overlay);
    expect(securityOf(onlyGet, "/acme.v1.Shop/List", "get")).toEqual([{ credentials: [] }]);
  });

  test.each([
    {
      name: "with side effects",
      source: serviceFile({ List: "option idempotency_level = IDEMPOTENT;" }),
    },
    {
      name: "that streams",
      source: {
        "a.proto": `syntax = "proto3"; package acme.v1; message M {} service Shop { rpc List(M) returns (stream M) { ${noSideEffects} } }`,
      },
    },
  ])("are POST for a method $name", ({ source }) => {
    const secured = applyOverlay(both, overlayOf(source));
    expect(securityOf(secured, "/acme.v1.Shop/List", "get")).toBeUndefined();
    expect(securityOf(secured, "/acme.v1.Shop/List", "post")).toEqual([{ credentials: [] }]);
  });

  test("are found in a file without a package", () => {
    const overlay = overlayOf({
      "a.proto": 'syntax = "proto3"; message M {} service S { rpc A(M) returns (M); }',
    });
    expect(securityOf(applyOverlay(openapi({ "post /S/A": {} }), overlay), "/S/A")).toEqual([
      { credentials: [] },
    ]);
  });

  test("may be missing in the document, as those of streams are", () => {
    const overlay = overlayOf(serviceFile({ A: "", B: "" }));
    const document = { ...objectOf(openapi({ "post /acme.v1.Shop/A": {} })) };
    document.paths = { ...objectOf(document.paths), "/acme.v1.Shop/B": {} };
    const secured = applyOverlay(document, overlay);
    expect(objectOf(objectOf(secured).paths)["/acme.v1.Shop/B"]).toEqual({});
  });

  test("do not include paths of others", () => {
    const overlay = overlayOf(serviceFile({ A: "" }));
    const document = openapi({
      "post /acme.v1.Shop/AB": {},
      "post /acme.v1.Shop": {},
      "post /health": {},
    });
    const { components: _, ...secured } = objectOf(applyOverlay(document, overlay));
    expect(secured).toEqual({ ...objectOf(document), components: undefined });
  });
});

describe("applied to a document that says something else", () => {
  const stale = {
    security: [{ other: ["a"] }, {}],
    "x-connectrpc-auth": { kind: "requires", roles: ["old"], scopes: ["old"] },
  };
  const document = openapi({ "post /acme.v1.Shop/A": stale, "post /acme.v1.Shop/B": stale });
  const sources = serviceFile({ A: auth("public: true"), B: auth('requires: { roles: ["new"] }') });

  test.each(["appended", "replaced"] as const)(
    "the overlay replaces that, and a second time changes nothing, in tools where lists are %s",
    (lists) => {
      const overlay = overlayOf(sources);
      const secured = applyOverlay(document, overlay, lists);
      expect(objectOf(objectOf(secured).paths)).toMatchObject({
        "/acme.v1.Shop/A": { post: { security: [], "x-connectrpc-auth": { kind: "public" } } },
        "/acme.v1.Shop/B": {
          post: {
            security: [{ credentials: [] }],
            "x-connectrpc-auth": { kind: "requires", roles: ["new"], scopes: [] },
          },
        },
      });
      expect(applyOverlay(secured, overlay, lists)).toEqual(secured);
    },
  );
});

describe("the file", () => {
  const sources = {
    ...serviceFile({ Buy: auth('requires: { scopes: ["b"] }'), List: noSideEffects }),
    "b.proto": 'syntax = "proto3"; package b; message M {} service S { rpc A(M) returns (M); }',
  };

  test("is an overlay by the letter of the Overlay Specification 1.0.0", () => {
    const { overlay, info, actions, ...others } = objectOf(overlayOf(sources));
    expect({ overlay, info, others }).toEqual({
      overlay: "1.0.0",
      info: { title: "Access rules", version: "1.0.0" },
      others: {},
    });
    const texts = listOf(actions).map((action) => JSON.stringify(action));
    expect(new Set(texts).size).toBe(texts.length);
    for (const { target, update, remove, ...more } of listOf(actions).map(objectOf)) {
      expect(target).toMatch(/^\$(?:$|\.paths\['\/[\w.]+\/\w+'\])/);
      expect(more).toEqual({});
      expect(remove === undefined ? objectOf(update) : [remove, update]).toEqual(
        remove === undefined ? expect.anything() : [true, undefined],
      );
    }
  });

  test.each(["a.yaml", "a.yml", "deep/a.json"])("has the same in it as %s", (path) => {
    const text = generate(sources, `target=ts,openapi_security_file=${path}`)[path] ?? "";
    expect(text.endsWith("\n")).toBe(true);
    expect(path.endsWith(".json") ? JSON.parse(text) : parseYaml(text)).toEqual(overlayOf(sources));
  });

  test.each([
    "target=ts",
    "target=js",
    "target=dts",
    "target=ts+js+dts",
    "target=js,js_import_style=legacy_commonjs",
  ])("is printed once and alike with %s", (parameter) => {
    const req = request(sources, yaml);
    const want = runPlugin(req)["openapi/security.yaml"];
    req.parameter = `${parameter},openapi_security_file=a.yaml`;
    expect(createPlugin(() => {}).run(req).file).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: "a.yaml", content: want })]),
    );
    const names = createPlugin(() => {})
      .run(req)
      .file.map(({ name }) => name);
    expect(names.filter((name) => name === "a.yaml")).toEqual(["a.yaml"]);
  });

  test.each(["security.yaml", "security.json"])("is an overlay as buf writes it: %s", (path) => {
    const one = serviceFile({ Buy: auth('requires: { scopes: ["b"] }') });
    const option = `openapi_security_file=${path}`;
    const { folder, result } = bufGenerate(one, ["target=ts"], [option]);
    expect(result.stderr).toBe("");
    const text = readFileSync(join(folder, "gen", path), "utf8");
    const written: Tree = path.endsWith(".json") ? JSON.parse(text) : parseYaml(text);
    const others = Object.entries(objectOf(written)).filter(([key]) => !key.startsWith("x-"));
    expect(Object.fromEntries(others)).toEqual(overlayOf(one));
  });

  test("reads well", () => {
    expect(
      generate(
        serviceFile({ Buy: auth('requires: { roles: ["buyer"], scopes: ["shop:buy"] }') }),
        yaml,
      )["openapi/security.yaml"],
    ).toBe(`# Who may call which operation, by the access rules of the proto files.
# Generated by protoc-gen-connect-auth.
overlay: "1.0.0"
info:
  title: "Access rules"
  version: "1.0.0"
actions:
  - target: "$"
    update:
      components:
        securitySchemes:
          credentials:
            type: "http"
            scheme: "bearer"
            description: "The credentials of a user or service."
  - target: "$.paths['/acme.v1.Shop/Buy'].post['security','x-connectrpc-auth']"
    remove: true
  - target: "$.paths['/acme.v1.Shop/Buy'].post"
    update:
      security:
        - credentials: ["shop:buy"]
      x-connectrpc-auth:
        kind: "requires"
        roles: ["buyer"]
        scopes: ["shop:buy"]
`);
  });

  test("is not there without the option, or without methods", () => {
    expect(Object.keys(generate(sources, "target=ts"))).toEqual([
      "acme/v1/shop_auth.ts",
      "b_auth.ts",
    ]);
    const empty = { "a.proto": 'syntax = "proto3"; service S {}' };
    expect(Object.keys(generate(empty, yaml))).toEqual(["a_auth.ts"]);
  });

  test("has what does not show as an escape", () => {
    const roles = [
      "\u200eadmin",
      "a\u202eb",
      "\u00ad",
      "\u{e0041}",
      "größe😀",
      "'\"\\",
      "#:-{}[]&*!|>%@`",
      "yes",
      "null",
      "1",
    ];
    const rules = auth(
      `requires: { roles: [${roles.map((role) => JSON.stringify(role)).join(", ")}] }`,
    );
    const files = generate(serviceFile({ A: rules }), yaml);
    const text = files["openapi/security.yaml"] ?? "";
    expect(text).toContain(
      String.raw`roles: ["\u200eadmin", "a\u202eb", "\u00ad", "\U000e0041", "größe😀", "'\"\\", `,
    );
    const json =
      generate(serviceFile({ A: rules }), "target=ts,openapi_security_file=a.json")["a.json"] ?? "";
    expect(json).toContain(String.raw`"\udb40\udc41"`);
    expect(json).not.toMatch(/[\u200e\u202e\u00ad]/);
    for (const overlay of [parseYaml(text), JSON.parse(json) as Tree]) {
      const actions = listOf(objectOf(overlay).actions);
      expect(objectOf(actions.at(-1)).update).toMatchObject({ "x-connectrpc-auth": { roles } });
    }
  });

  test.each(["a.txt", "a.yaml.ts", "../a.yaml", "/a.json", ""])("cannot be %j", (path) => {
    expect(problemsOf(request(sources, `target=ts,openapi_security_file=${path}`))).toEqual([
      expect.stringMatching(
        /^invalid option "openapi_security_file=.*": .*option openapi_security_file=/,
      ),
    ]);
  });
});

/** What the OpenAPI annotations of google/gnostic look like, as far as they are of interest here. */
const annotations = (pkg: string) => `syntax = "proto3"; package ${pkg};
import "google/protobuf/descriptor.proto";
extend google.protobuf.FileOptions { Document document = 1143; }
extend google.protobuf.MethodOptions { Operation operation = 1143; }
message Strings { repeated string value = 1; }
message Named { string name = 1; Strings value = 2; }
message Requirement { repeated Named additional_properties = 1; }
message Operation { string summary = 2; repeated Requirement security = 11; }
message Scheme { string type = 1; }
message NamedScheme { string name = 1; Scheme value = 2; }
message Schemes { repeated NamedScheme additional_properties = 1; }
message Components { Schemes security_schemes = 7; }
message Document { string openapi = 1; Components components = 5; }
`;

/** A method with access rules and the security of an operation, one entry for each way to call it. */
function annotatedFile(
  rules: string,
  security: readonly Readonly<Record<string, readonly string[]>>[],
  { pkg = "openapi.v3", document = "" } = {},
): Sources {
  const requirements = security.map((requirement) => {
    const named = Object.entries(requirement).map(
      ([name, list]) => `{ name: "${name}", value: { value: ${JSON.stringify(list)} } }`,
    );
    return `{ additional_properties: [${named.join(", ")}] }`;
  });
  return {
    "openapi/annotations.proto": annotations(pkg),
    "a.proto": `syntax = "proto3"; package acme.v1;
import "connectum/auth/v1/options.proto";
import "openapi/annotations.proto";
${document}
message M {}
service Shop {
  rpc Buy(M) returns (M) {
    ${rules && auth(rules)}
    option (.${pkg}.operation) = { summary: "Buy.", security: [${requirements.join(", ")}] };
  }
}`,
  };
}

describe("an operation whose annotation names schemes", () => {
  const requires = 'requires: { roles: ["buyer"], scopes: ["shop:buy", "shop:pay"] }';

  test.each([
    {
      name: "keeps them, with the scopes of the policy",
      rules: requires,
      security: [{ OAuth2: [] }],
      want: [{ OAuth2: ["shop:buy", "shop:pay"] }],
    },
    {
      name: "keeps scopes that are those of the policy",
      rules: requires,
      security: [
        { OAuth2: ["shop:pay", "shop:buy"] },
        { Basic: ["shop:buy", "shop:pay", "buyer"] },
      ],
      want: [{ OAuth2: ["shop:pay", "shop:buy"] }, { Basic: ["shop:buy", "shop:pay", "buyer"] }],
    },
    {
      name: "keeps several schemes at once as they are",
      rules: requires,
      security: [{ OAuth2: [], ApiKey: [] }],
      want: [{ OAuth2: [], ApiKey: [] }],
    },
    {
      name: "keeps a scheme for any caller",
      rules: 'policy: "allow"',
      security: [{ Basic: [] }],
      want: [{ Basic: [] }],
    },
    {
      name: "keeps credentials that are optional on a public method",
      rules: "public: true",
      security: [{}, { Basic: [] }],
      want: [{}, { Basic: [] }],
    },
    {
      name: "keeps anything where the server decides",
      rules: "",
      security: [{}, { OAuth2: ["other"] }],
      want: [{}, { OAuth2: ["other"] }],
    },
    {
      name: "keeps a scheme where nobody passes",
      rules: 'policy: "deny"',
      security: [{ OAuth2: ["other"] }],
      want: [{ OAuth2: ["other"] }],
    },
    {
      name: "keeps one for internal callers",
      rules: 'internal: true, requires: { scopes: ["index"] }',
      security: [{ Mesh: [] }],
      want: [{ Mesh: ["index"] }],
    },
  ])("$name", ({ rules, security, want }) => {
    const overlay = overlayOf(annotatedFile(rules, security));
    const before = openapi({ "post /acme.v1.Shop/Buy": { security: structuredClone(security) } });
    const secured = applyOverlay(before, overlay);
    expect(securityOf(secured, "/acme.v1.Shop/Buy")).toEqual(want);
    expect(schemesOf(secured)).toBeUndefined();
  });

  test("may have it from the schema under its other package", () => {
    const sources = annotatedFile('policy: "allow"', [{ Basic: [] }], {
      pkg: "gnostic.openapi.v3",
    });
    const secured = applyOverlay(openapi({ "post /acme.v1.Shop/Buy": {} }), overlayOf(sources));
    expect(securityOf(secured, "/acme.v1.Shop/Buy")).toEqual([{ Basic: [] }]);
  });

  test("may import the schema for options only", () => {
    const { "openapi/annotations.proto": schema = "", "a.proto": source = "" } = annotatedFile(
      'policy: "allow"',
      [{ Basic: [] }],
    );
    const path = "openapiv3/annotations.proto";
    const req = request(
      {
        [path]: schema,
        "a.proto": source
          .replace('syntax = "proto3"', 'edition = "2024"')
          .replace('import "openapi/annotations.proto"', `import option "${path}"`),
      },
      yaml,
    );
    // what buf leaves out of an image, and sends to plugins
    for (const file of req.protoFile.filter(({ name }) => name === "a.proto")) {
      file.optionDependency = [path];
    }
    const overlay = parseYaml(runPlugin(req)["openapi/security.yaml"] ?? "");
    const secured = applyOverlay(openapi({ "post /acme.v1.Shop/Buy": {} }), overlay);
    expect(securityOf(secured, "/acme.v1.Shop/Buy")).toEqual([{ Basic: [] }]);
  });

  test("uses ours like any other, and the definition in the proto file", () => {
    const document = `option (openapi.v3.document) = { openapi: "3.1.0", components: { security_schemes: {
      additional_properties: [{ name: "credentials", value: { type: "oauth2" } }, { name: "other" }] } } };`;
    const security = [{ credentials: [] }, { internalCredentials: [] }];
    const overlay = overlayOf(annotatedFile(requires, security, { document }));
    const secured = applyOverlay(openapi({ "post /acme.v1.Shop/Buy": {} }), overlay);
    expect(schemesOf(secured)).toEqual({
      internalCredentials: expect.objectContaining({ scheme: "bearer" }),
    });
  });

  test("is one that has the schema, not only its number", () => {
    const sources = annotatedFile("public: true", [{ Basic: [] }], { pkg: "acme.openapi.v3" });
    const overlay = overlayOf(sources);
    const secured = applyOverlay(openapi({ "post /acme.v1.Shop/Buy": {} }), overlay);
    expect(securityOf(secured, "/acme.v1.Shop/Buy")).toEqual([]);
  });
});

describe("AUTH012 refuses an OpenAPI annotation that contradicts the policy", () => {
  const requires = 'requires: { roles: ["buyer"], scopes: ["shop:buy", "shop:pay"] }';
  const open = "callers need credentials, but its OpenAPI annotation lets anyone in";

  test.each([
    {
      name: "credentials on a public method",
      rules: "public: true",
      security: [{ Basic: [] }],
      want: "anyone may call it, but its OpenAPI annotation asks for credentials",
    },
    { name: "no credentials where a role is needed", rules: requires, security: [{}], want: open },
    {
      name: "optional credentials where some are needed",
      rules: 'policy: "allow"',
      security: [{ Basic: [] }, {}],
      want: open,
    },
    {
      name: "no credentials on an internal method",
      rules: "internal: true",
      security: [{}],
      want: open,
    },
    {
      name: "the credentials of users on an internal method",
      rules: "internal: true",
      security: [{ internalCredentials: [] }, { credentials: [] }],
      want: 'it needs "internalCredentials", but its OpenAPI annotation asks for "credentials"',
    },
    {
      name: "no credentials where nobody passes",
      rules: 'policy: "deny"',
      security: [{}],
      want: "nobody may call it, but its OpenAPI annotation lets anyone in",
    },
    {
      name: "a scope that the policy does not have",
      rules: requires,
      security: [{ OAuth2: [] }, { OAuth2: ["shop:buy", "shop:admin"] }],
      want: 'its OpenAPI annotation asks for "shop:admin", which is no role or scope of its policy',
    },
    {
      name: "a scope where any caller will do",
      rules: 'policy: "allow"',
      security: [{ OAuth2: ["shop:buy"] }],
      want: 'its OpenAPI annotation asks for "shop:buy", which is no role or scope of its policy',
    },
    {
      name: "a scope left out",
      rules: requires,
      security: [{ OAuth2: ["shop:buy"] }],
      want: 'its policy asks for the scope "shop:pay", which its OpenAPI annotation leaves out',
    },
    {
      name: "all scopes left out for a role",
      rules: requires,
      security: [{ Basic: ["buyer"] }],
      want: 'its policy asks for the scope "shop:buy", which its OpenAPI annotation leaves out',
    },
  ])("$name", ({ rules, security, want }) => {
    const req = request(annotatedFile(rules, security), `${yaml},allow=AUTH009`);
    expect(problemsOf(req)).toEqual([
      `a.proto:7:3: error AUTH012 acme.v1.Shop.Buy: ${want}; change one or the other`,
    ]);
    // without an overlay, the annotation may be about somebody else's server
    req.parameter = "target=ts,allow=AUTH009";
    expect(problemsOf(req)).toEqual([]);
  });
});

describe("the documentation", () => {
  const blocks = readCodeBlocks("docs/openapi.md");
  const yamlFile = (name: string) =>
    parseYaml(blocks.find(({ file }) => file === name)?.text ?? "");
  const readme = readCodeBlocks("README.md").filter(({ file }) => file?.endsWith("user.proto"));
  const sources = { "acme/user/v1/user.proto": readme[0]?.text ?? "" };

  test("shows the beginning of what is printed for the README", () => {
    const shown = objectOf(yamlFile("security.yaml"));
    const printed = objectOf(overlayOf(sources));
    const count = listOf(shown.actions).length;
    expect({ ...printed, actions: listOf(printed.actions).slice(0, count) }).toEqual(shown);
  });

  test("shows an overlay that replaces the schemes and leaves out internal methods", () => {
    const path = "/acme.user.v1.UserService";
    const document = openapi(
      Object.fromEntries(
        ["GetProfile", "DeleteUser", "Reindex"].map((name) => [`post ${path}/${name}`, {}]),
      ),
    );
    const secured = applyOverlay(document, overlayOf(sources));
    const ours = applyOverlay(secured, yamlFile("ours.yaml"));
    expect(Object.keys(objectOf(objectOf(ours).paths))).toEqual([
      `${path}/GetProfile`,
      `${path}/DeleteUser`,
    ]);
    expect(schemesOf(ours)).toEqual({
      credentials: {
        type: "oauth2",
        flows: {
          clientCredentials: {
            tokenUrl: "https://auth.acme.dev/token",
            scopes: { "users:write": "Change and delete users." },
          },
        },
      },
    });
    expect(securityOf(ours, `${path}/DeleteUser`)).toEqual([{ credentials: ["users:write"] }]);
  });
});
