import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProject, type Project, strictTsconfig } from "../../test/support/project.js";
import { readCodeBlocks, repositoryRoot } from "../../test/support/readme.js";
import { readFiles } from "./generate.js";

/** The files in the documentation, by the kind of project they are for. */
function documented(kind: string): [file: string, text: string][] {
  return readCodeBlocks("docs/build-tools.md").flatMap(({ file = "", text }) =>
    file.startsWith(`${kind}/`) ? [[file.slice(kind.length + 1), text]] : [],
  );
}

const service = `syntax = "proto3";

package acme.v1;

import "connectum/auth/v1/options.proto";

service ShopService {
  rpc Browse(BrowseRequest) returns (BrowseResponse) {
    option (connectum.auth.v1.method_auth) = {public: true};
  }
}

message BrowseRequest {}

message BrowseResponse {}
`;

const optionsFile = "gen/connectum/auth/v1/options_pb.ts";
const ourFiles = ["gen/acme/v1/shop_auth.ts", "gen/acme/v1/shop_pb.ts"];

describe("a project that is there", () => {
  let project: Project;
  beforeAll(() => {
    project = createProject("vite");
  });
  afterAll(() => project.remove());

  const modules = () => join(project.directory, "node_modules");

  /** Begins again, with one proto file and configuration. */
  function begin(proto: string, ...kinds: string[]): void {
    const files = [
      "buf.yaml",
      "buf.gen.yaml",
      "buf.work.yaml",
      "proto",
      "acme",
      "other",
      "src",
      "dist",
      ".git",
    ];
    for (const file of files) {
      rmSync(join(project.directory, file), { recursive: true, force: true });
    }
    project.write(proto, service);
    project.write("tsconfig.json", strictTsconfig);
    for (const [file, text] of kinds.flatMap(documented)) {
      project.write(file, text);
    }
  }

  /** What is in `src`, after the compiler had nothing to say. */
  function generated(): string[] {
    expect(project.run("tsc", "--noEmit")).toEqual({ status: 0, output: "" });
    return Object.keys(readFiles(join(project.directory, "src")));
  }

  test.each([
    { name: "with a list of modules", proto: "proto/acme/v1/shop.proto", kinds: ["modules"] },
    { name: "that is one module", proto: "acme/v1/shop.proto", kinds: ["modules", "folder"] },
    { name: "with buf.work.yaml", proto: "proto/acme/v1/shop.proto", kinds: ["work"] },
    { name: "with inputs", proto: "proto/acme/v1/shop.proto", kinds: ["modules", "inputs"] },
  ])("$name needs the documented lines, and nothing else", ({ proto, kinds }) => {
    begin(proto, ...kinds);
    expect(project.run("buf", "lint")).toEqual({ status: 0, output: "" });
    expect(project.run("buf", "generate")).toEqual({ status: 0, output: "" });
    expect(generated()).toEqual([...ourFiles, optionsFile]);
  });

  test("can name the files of the plugins, for a buf that does not look into node_modules", () => {
    begin("proto/acme/v1/shop.proto", "modules");
    const generate = () => {
      const { stderr, status } = spawnSync(join(modules(), ".bin", "buf"), ["generate"], {
        cwd: project.directory,
        env: { PATH: dirname(process.execPath), HOME: project.directory },
        encoding: "utf8",
      });
      return { status, stderr };
    };
    expect(generate().stderr).toContain("protoc-gen-es");
    begin("proto/acme/v1/shop.proto", "modules", "global");
    expect(generate()).toEqual({ status: 0, stderr: "" });
    expect(generated()).toEqual([...ourFiles, optionsFile]);
  });

  test("can have links for packages, as pnpm makes them", () => {
    begin("proto/acme/v1/shop.proto", "modules");
    const [link, folder] = [join(modules(), "connectrpc-auth"), join(modules(), ".store")];
    renameSync(link, folder);
    symlinkSync(".store", link);
    expect(project.run("buf", "generate")).toEqual({ status: 0, output: "" });
    expect(generated()).toEqual([...ourFiles, optionsFile]);
    rmSync(link);
    renameSync(folder, link);
  });

  test("can take the compiled options from the package", () => {
    begin("proto/acme/v1/shop.proto", "modules", "mapped");
    expect(project.run("buf", "generate")).toEqual({ status: 0, output: "" });
    expect(generated()).toEqual(ourFiles);
    const messages = readFileSync(join(project.directory, "src/gen/acme/v1/shop_pb.ts"), "utf8");
    expect(messages).toContain('from "connectrpc-auth/gen/connectum/auth/v1/options_pb');
  });

  test("that compares with git needs a copy of the options, and no other line", () => {
    begin("proto/acme/v1/shop.proto", "modules");
    project.write(".gitignore", "node_modules\n*.tgz\n");
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], {
        cwd: project.directory,
        stdio: "pipe",
      });
    git("init", "-q", "-b", "main");
    git("add", ".");
    git("commit", "-qm", "With a module in node_modules");
    const compare = ["breaking", "--against", ".git#branch=main"];
    const { status, output } = project.run("buf", ...compare);
    expect(status).not.toBe(0);
    expect(output).toContain("had no .proto files");

    const copy = readCodeBlocks("docs/build-tools.md").find(({ text }) => text.startsWith("cp "));
    execFileSync("sh", ["-c", copy?.text ?? ""], { cwd: project.directory });
    project.write("buf.yaml", "version: v2\nmodules:\n  - path: proto\n");
    git("add", ".");
    git("commit", "-qm", "With a copy");
    expect(project.run("buf", ...compare)).toEqual({ status: 0, output: "" });
    expect(project.run("buf", "generate")).toEqual({ status: 0, output: "" });
    expect(generated()).toEqual([...ourFiles, optionsFile]);
  });

  test("prints the files of --path only", () => {
    begin("proto/acme/v1/shop.proto", "modules");
    project.write("proto/acme/v1/other.proto", service.replaceAll(/Shop|Browse/g, "$&2"));
    expect(project.run("buf", "generate", "--path", "proto/acme/v1/shop.proto")).toEqual({
      status: 0,
      output: "",
    });
    expect(Object.keys(readFiles(join(project.directory, "src")))).toEqual(ourFiles);
  });

  test("prints what is imported, too, with include_imports", () => {
    begin("other/other/v1/other.proto");
    project.write("other/other/v1/other.proto", service.replace("acme.v1", "other.v1"));
    project.write(
      "proto/acme/v1/shop.proto",
      service
        .replace('.proto";', '.proto";\nimport "other/v1/other.proto";')
        .replace("(BrowseRequest)", "(other.v1.BrowseRequest)"),
    );
    const modules = ["proto", "other", "node_modules/connectrpc-auth/proto"];
    project.write(
      "buf.yaml",
      JSON.stringify({ version: "v2", modules: modules.map((path) => ({ path })) }),
    );
    const [[, config = ""] = []] = documented("inputs");
    const generateWith = (template: string) => {
      rmSync(join(project.directory, "src"), { recursive: true, force: true });
      project.write("buf.gen.yaml", template);
      expect(project.run("buf", "generate")).toEqual({ status: 0, output: "" });
      return generated().filter((path) => path.includes("_auth"));
    };
    expect(generateWith(config)).toEqual(["gen/acme/v1/shop_auth.ts"]);
    const entry = "local: protoc-gen-connect-auth # new";
    expect(config).toContain(entry);
    expect(generateWith(config.replace(entry, `${entry}\n    include_imports: true`))).toEqual([
      "gen/acme/v1/shop_auth.ts",
      "gen/other/v1/other_auth.ts",
    ]);
  });

  const page = `import { createConnectTransport } from "@connectrpc/connect-web";
import { createShopServiceClient } from "./gen/acme/v1/shop_auth.js";
const shop = createShopServiceClient(createConnectTransport, { baseUrl: "/api" });
document.title = (await shop.browse({})).$typeName;
`;

  test.each(["js", "none"])(
    "generates before Vite builds, with import_extension=%s",
    (extension) => {
      begin("proto/acme/v1/shop.proto", "modules");
      const template = join(project.directory, "buf.gen.yaml");
      const config = readFileSync(template, "utf8");
      project.write("buf.gen.yaml", config.replaceAll("=js", `=${extension}`));
      project.write("index.html", '<script type="module" src="/src/main.ts"></script>');
      project.write("src/main.ts", extension === "none" ? page.replace("_auth.js", "_auth") : page);
      const [[, scripts = "{}"] = []] = documented("vite");
      const packageJson = join(project.directory, "package.json");
      const before: object = JSON.parse(readFileSync(packageJson, "utf8"));
      project.write("package.json", JSON.stringify({ ...before, ...JSON.parse(scripts) }));
      const vite = join(modules(), ".bin", "vite");
      if (!existsSync(vite)) {
        symlinkSync(realpathSync(join(repositoryRoot, "node_modules/.bin/vite")), vite);
      }
      const build = spawnSync("npm", ["run", "build"], {
        cwd: project.directory,
        encoding: "utf8",
      });
      expect(build.status, build.stdout + build.stderr).toBe(0);
      const bundle = Object.entries(readFiles(join(project.directory, "dist")));
      const scriptsInBundle = bundle.filter(([path]) => path.endsWith(".js"));
      expect(scriptsInBundle.map(([, text]) => text).join()).toMatch(/kind:["'`]public/);
    },
  );
});
