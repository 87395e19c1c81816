import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readCodeBlocks } from "../../test/support/readme.js";
import packageJson from "../package.json" with { type: "json" };
import { binaries, root, writeFiles } from "./generate.js";

const optionsPath = "connectum/auth/v1/options.proto";
const page = readCodeBlocks("docs/review.md");
const block = (start: string) => page.find(({ text }) => text.startsWith(start))?.text ?? "";

/** The commands of the workflow that are ours. */
const [generate = "", review = ""] = [...block("# .github").matchAll(/^ {8}run: (.*)$/gm)].map(
  ([, command]) => command,
);
const [compare = ""] = block("git show main:").split("\n");
const images = block("git worktree").replace("npm ci", "ln -s ../project/node_modules .");

/** A repository whose branch `origin/main` has a method for admins. */
function repository() {
  const folder = mkdtempSync(join(tmpdir(), "connectrpc-auth-review-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const project = join(folder, "project");
  writeFiles(project, {
    "buf.yaml": JSON.stringify({
      version: "v2",
      modules: [{ path: "proto" }, { path: "options" }],
    }),
    "buf.gen.yaml": `${block("# buf.gen.yaml")}inputs: [{ directory: proto }]\n`,
    [`options/${optionsPath}`]: readFileSync(join(root, "proto", optionsPath), "utf8"),
    ".gitignore": "node_modules\n",
    "node_modules/.bin/README": "",
  });
  for (const [name, path] of Object.entries(packageJson.bin)) {
    symlinkSync(join(root, "plugin", path), join(project, "node_modules/.bin", name));
  }
  symlinkSync(join(binaries, "buf"), join(project, "node_modules/.bin/buf"));
  const bash = (command: string) => {
    const { status, stdout, stderr } = spawnSync("bash", ["-e", "-c", command], {
      cwd: project,
      encoding: "utf8",
      env: {
        ...process.env,
        PATH: `${join(project, "node_modules/.bin")}:${process.env.PATH}`,
        GIT_CONFIG_GLOBAL: "/dev/null",
        npm_config_offline: "true",
        npm_config_update_notifier: "false",
      },
    });
    return { status, stdout, stderr };
  };
  const rules = (text: string) =>
    writeFiles(project, {
      "proto/acme/v1/s.proto": `syntax = "proto3"; package acme.v1; import "${optionsPath}"; message M {}
service S { rpc Delete(M) returns (M) { option (connectum.auth.v1.method_auth) = { ${text} }; } }`,
    });
  const commit =
    "git add -A && git -c user.name=a -c user.email=a@example.com commit -q -m 'change'";

  rules('requires: { roles: ["admin"] }');
  expect(bash("git init -q -b main && buf generate")).toMatchObject({ status: 0 });
  expect(bash(`${commit} && git update-ref refs/remotes/origin/main HEAD`).stderr).toBe("");
  return { bash, rules, commit };
}

const relaxed = `\
relaxed  acme.v1.S/Delete  requires role admin -> requires role admin or ops  role ops is enough
1 relaxed, 0 allowed, 0 restricted, 0 neutral
`;

describe("the steps in docs/review.md", () => {
  beforeAll(() => {
    expect(generate).toMatch(/^rm \S+ && npx buf generate/);
    expect(review).toMatch(/^git show origin\/main:/);
    expect(compare).toMatch(/^git show main:/);
    expect(images).toMatch(/buf build -o -/);
  });

  test("pass where no rule has changed", () => {
    const { bash } = repository();
    expect(bash(generate)).toMatchObject({ status: 0, stdout: "" });
    expect(bash(review)).toMatchObject({ status: 0, stdout: "no change\n" });
  });

  test("fail where the snapshot was forgotten", () => {
    const { bash, rules, commit } = repository();
    rules('requires: { roles: ["admin", "ops"] }');
    bash(commit);
    const { status, stdout } = bash(generate);
    expect(status).toBe(1);
    expect(stdout).toContain('+    { "method": "acme.v1.S/Delete", "kind": "requires", "roles"');
  });

  test("fail where the snapshot is not written any more", () => {
    const { bash, rules, commit } = repository();
    rules("public: true");
    bash(
      `grep -v snapshot_file buf.gen.yaml > other && mv other buf.gen.yaml && buf generate && ${commit}`,
    );
    const { status, stdout } = bash(generate);
    expect(status).toBe(1);
    expect(stdout).toContain("deleted file mode");
  });

  test("fail where a method is relaxed, unless that is allowed", () => {
    const { bash, rules, commit } = repository();
    rules('requires: { roles: ["admin", "ops"] }');
    bash(`buf generate && ${commit}`);
    expect(bash(generate)).toMatchObject({ status: 0, stdout: "" });
    expect(bash(review)).toMatchObject({ status: 1, stdout: relaxed });
    expect(bash(compare.replace("main:", "origin/main:"))).toMatchObject({ stdout: relaxed });
    expect(bash(`${review} --allow acme.v1.S/Delete`)).toMatchObject({ status: 0 });
    expect(bash(images)).toMatchObject({ status: 1, stdout: relaxed });
  });

  test("fail where the main branch has no snapshot yet", () => {
    const { bash } = repository();
    const { status, stderr } = bash(review.replace("auth_policy.json |", "none.json |"));
    expect(status).toBe(2);
    expect(stderr).toContain("connect-auth-diff: standard input: it is empty\n");
  });
});
