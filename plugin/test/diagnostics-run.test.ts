import { describe, expect, test } from "vitest";
import {
  bufGenerate,
  problems,
  readFiles,
  request,
  runWithWarnings,
  type Sources,
} from "./generate.js";

/** A file whose service begins on line 5, with its option, if any, on line 6 and the methods below. */
function proto(name: string, option: string, ...methods: string[]): string {
  return `syntax = "proto3";
package ${name};
import "connectum/auth/v1/options.proto";
message M {}
service S {
  ${option && `option (connectum.auth.v1.service_auth) = { ${option} };`}
${methods.map((auth, i) => `  rpc M${i}(M) returns (M) { ${auth && `option (connectum.auth.v1.method_auth) = { ${auth} };`} }`).join("\n")}
}`;
}

function serviceFile(option: string, ...methods: string[]): Sources {
  return { "s.proto": proto("s", option, ...methods) };
}

describe("warnings", () => {
  const service = 'default_policy: "allow"';
  const methods = ["requires: {}", 'policy: "deny"', "public: true"];

  test("leave the output as it is", () => {
    const req = request(serviceFile(service, ...methods));
    const { files, warnings } = runWithWarnings(req);
    expect(warnings).toHaveLength(3);
    const silent = request(
      serviceFile(service, ...methods),
      "target=ts,allow=AUTH005,allow=AUTH008,allow=AUTH009",
    );
    const withoutParameter = (files: Record<string, string>) =>
      Object.entries(files).map(([name, text]) => [name, text.replace(/with parameter ".*"/, "")]);
    expect(withoutParameter(files)).toEqual(withoutParameter(runWithWarnings(silent).files));
    expect(runWithWarnings(silent).warnings).toEqual([]);
  });

  test("are lines like errors, by file and place", () => {
    const bad = { "b.proto": proto("b", service, ...methods), "B.proto": proto("B", "", "") };
    const { warnings } = runWithWarnings(request(bad));
    expect(warnings.map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual([
      "B.proto:7:3: warning AUTH001 B.S.M0:",
      "b.proto:6:47: warning AUTH008 b.S:",
      "b.proto:7:34: warning AUTH005 b.S.M0:",
      "b.proto:8:70: warning AUTH009 b.S.M1:",
    ]);
  });

  test.each(["ts", "js+dts", "ts+js+dts", "dts"])("come once with target=%s", (target) => {
    const { warnings } = runWithWarnings(request(serviceFile("", ""), `target=${target}`));
    expect(warnings).toHaveLength(1);
  });

  test("stand between the errors, by place, and nothing is written", () => {
    const lines = problems(
      serviceFile(
        'default_policy: "deny"',
        "",
        'policy: "no"',
        "requires: {}",
        "public: true, internal: true",
      ),
    );
    expect(lines.map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual([
      "s.proto:7:3: warning AUTH009 s.S.M0:",
      "s.proto:8:70: error AUTH002 s.S.M1:",
      "s.proto:9:34: warning AUTH005 s.S.M2:",
      "s.proto:10:84: error AUTH004 s.S.M3:",
    ]);
  });

  test("show characters that a terminal would obey as what they are", () => {
    const option = 'default_requires: { roles: ["a"] }';
    const sources = serviceFile(option, 'policy: "al\\u202elow\\u001b[31m\\U000e0041"', "");
    expect(problems(sources)).toEqual([
      expect.stringContaining('policy "al\\u202elow\\u001b[31m\\udb40\\udc41" is neither'),
    ]);
  });
});

describe("under buf generate", () => {
  /** Two folders, so that buf starts the plugin for each, and once more for the options. */
  const sources = {
    "a/v1/a.proto": proto("a.v1", "", "", "public: true"),
    "b/v1/b.proto": proto("b.v1", 'default_policy: "deny"', "", "requires: {}"),
    "b/v1/c.proto": proto("c.v1", "", ""),
  };
  const want = [
    "a/v1/a.proto:7:3: warning AUTH001 a.v1.S.M0:",
    "b/v1/b.proto:7:3: warning AUTH009 b.v1.S.M0:",
    "b/v1/b.proto:8:34: warning AUTH005 b.v1.S.M1:",
    "b/v1/c.proto:7:3: warning AUTH001 c.v1.S.M0:",
  ];
  const linesOf = (stderr: string) =>
    stderr
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split(" ").slice(0, 4).join(" "));

  test.each(["target=ts", "target=js+dts"])(
    "each warning is shown once, nothing else, and the files are written, with %s",
    (target) => {
      const { folder, result } = bufGenerate(sources, [target]);
      // the folders run at the same time, in any order
      expect(linesOf(result.stderr).sort()).toEqual(want);
      expect(result.status).toBe(0);
      const files = Object.keys(readFiles(folder)).filter((path) => path.includes("_auth"));
      expect(files).toHaveLength(target === "target=ts" ? 3 : 6);
    },
  );

  test("allow=AUTH001 and allow=AUTH005 leave the other", () => {
    const silence = ["allow=AUTH001", "allow=AUTH005"];
    const { result } = bufGenerate(sources, ["target=ts"], silence);
    expect(linesOf(result.stderr)).toEqual([want[1]]);
    expect(result.status).toBe(0);
  });

  test("strict=true makes them errors and writes nothing, but for what is allowed", () => {
    const { folder, result } = bufGenerate(
      { "a/v1/a.proto": sources["a/v1/a.proto"] },
      ["target=ts"],
      ["strict=true"],
    );
    expect(linesOf(result.stderr)).toContain("a/v1/a.proto:7:3: error AUTH001 a.v1.S.M0:");
    expect(result.status).not.toBe(0);
    expect(Object.keys(readFiles(folder)).filter((path) => path.includes("_auth"))).toEqual([]);

    const allowed = bufGenerate(
      sources,
      ["target=ts"],
      ["strict=true", "allow=AUTH001", "allow=AUTH005", "allow=AUTH009"],
    );
    expect({ stderr: allowed.result.stderr, status: allowed.result.status }).toEqual({
      stderr: "",
      status: 0,
    });
  });
});
