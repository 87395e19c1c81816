import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import {
  binaries,
  compile,
  pluginBinary,
  problemsOf,
  readFiles,
  root,
  runWithWarnings,
  testFolder,
  writeFiles,
} from "./generate.js";

const optionsPath = "connectum/auth/v1/options.proto";

const head = `syntax = "proto3";
package s;
import "${optionsPath}";
message M {}
`;

/** The code and the place of each problem in a proto file, and what the source has there. */
function placesIn(source: string, change = (_file: FileDescriptorProto) => {}): string[] {
  const protoFile = compile({ "s.proto": source });
  for (const file of protoFile.filter(({ name }) => name === "s.proto")) {
    change(file);
  }
  const fileToGenerate = ["s.proto"];
  const parameter = "target=ts";
  const req = create(CodeGeneratorRequestSchema, { protoFile, fileToGenerate, parameter });
  return linesOf(req).map((line) => {
    const [, row = "", column = "", code = ""] =
      /^s\.proto:(\d+):(\d+): \w+ (AUTH\d+) /.exec(line) ?? [];
    return `${code} ${row}:${column} ${textAt(source, Number(row), Number(column))}`;
  });
}

function linesOf(req: CodeGeneratorRequest): string[] {
  const errors = problemsOf(req);
  return errors.length > 0 ? errors : runWithWarnings(req).warnings;
}

/** The source from a place to the end of the field or line. */
function textAt(source: string, line: number, column: number): string {
  const text = source.split("\n")[line - 1] ?? "";
  let expanded = "";
  for (const character of text) {
    // buf counts a tab as up to four columns
    expanded += character === "\t" ? " ".repeat(4 - (expanded.length % 4)) : character;
  }
  const [field = ""] = expanded.slice(column - 1).split(/[,;{}]|\/\//);
  return field.trim();
}

describe("a finding is at", () => {
  test.each([
    {
      name: "the field, in an option on one line",
      source: `service S {
  rpc A(M) returns (M) { option (connectum.auth.v1.method_auth) = { internal: false, policy: "no" }; }
}`,
      want: ['AUTH002 6:86 policy: "no"'],
    },
    {
      name: "the field, in an option on several lines",
      source: `service S {
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth) = {
      internal: true
      public: true
      policy: "no"
    };
  }
}`,
      want: ["AUTH004 8:7 internal: true", 'AUTH002 10:7 policy: "no"'],
    },
    {
      name: "the option, where each field has its own",
      source: `service S {
  option (connectum.auth.v1.service_auth).public = true;
  option (connectum.auth.v1.service_auth).default_policy = "deny";
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth).public = false;
    option (connectum.auth.v1.method_auth).policy = "no";
  }
  rpc B(M) returns (M);
}`,
      want: [
        'AUTH003 7:3 option (connectum.auth.v1.service_auth).default_policy = "deny"',
        'AUTH002 10:5 option (connectum.auth.v1.method_auth).policy = "no"',
      ],
    },
    {
      name: "the item, where each has its own option",
      source: `service S {
  option (connectum.auth.v1.service_auth).default_requires.roles = "a";
  option (connectum.auth.v1.service_auth).default_requires.roles = "";
  option (connectum.auth.v1.service_auth).default_requires.scopes = "b c";
  rpc A(M) returns (M);
}`,
      want: [
        'AUTH007 7:3 option (connectum.auth.v1.service_auth).default_requires.roles = ""',
        'AUTH007 8:3 option (connectum.auth.v1.service_auth).default_requires.scopes = "b c"',
      ],
    },
    {
      name: "the item in a nested message without a colon",
      source: `service S {
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth) = {
      requires {
        roles: "a"
        roles: ""
        scopes: "b"
        scopes: "c d"
      }
    };
  }
}`,
      want: ['AUTH007 10:9 roles: ""', 'AUTH007 12:9 scopes: "c d"'],
    },
    {
      name: "the list, of which compilers record the first item only",
      source: `service S {
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth) = {
      requires: <
        scopes: "c"
        roles: [
          "a",
          ""
        ]
      >
    };
  }
}`,
      want: ["AUTH007 10:9 roles: ["],
    },
    {
      name: "the first thing in a message that compilers do not record itself",
      source: `service S {
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth) = {
      public: true
      requires: {
        scopes: ["c"]
        roles: ["a"]
      }
    };
  }
}`,
      want: ['AUTH003 10:9 scopes: ["c"]'],
    },
    {
      name: "the option, where that message is empty",
      source: `service S {
  rpc A(M) returns (M) {
    option deprecated = true;
    option (connectum.auth.v1.method_auth) = {
      internal: false
      requires: {}
    };
  }
}`,
      want: ["AUTH005 8:12 (connectum.auth.v1.method_auth) ="],
    },
    {
      name: "the field, with comments around and inside",
      source: `// A service.
service S {
  /* the "policy: "deny"" of a comment */ rpc A(M) returns (M) { // one
    /* two */ option /* three */ (connectum.auth.v1.method_auth) = { // four
      // policy: "five"
      /* größe */ policy: "no" // six
    };
  }
}`,
      want: ['AUTH002 10:19 policy: "no"'],
    },
    {
      name: "the field, behind tabs, in columns as the compiler counts them",
      source: `service S {
\trpc A(M) returns (M) {
\t\toption (connectum.auth.v1.method_auth) = {
\t\t  internal: false,\tpolicy: "no"
\t\t};
\t}
\trpc B(M) returns (M);
}`,
      want: ['AUTH002 8:29 policy: "no"', "AUTH001 11:5 rpc B(M) returns (M)"],
    },
    {
      name: "the method, where nothing is written",
      source: `service S {
  rpc A(M) returns (M);

  // Nothing of ours.
  rpc B(M)
    returns (M) {
    option deprecated = true;
  }
  rpc C(M) returns (M) { option (connectum.auth.v1.method_auth) = {}; }
}`,
      want: [
        "AUTH001 6:3 rpc A(M) returns (M)",
        "AUTH001 9:3 rpc B(M)",
        "AUTH001 13:3 rpc C(M) returns (M)",
      ],
    },
    {
      name: "the service's own option, not at one of its methods",
      source: `service R { rpc A(M) returns (M) { option (connectum.auth.v1.method_auth).public = true; } }
service S {
  rpc A(M) returns (M) { option (connectum.auth.v1.method_auth).policy = "allow"; }
  rpc B(M) returns (M) { option (connectum.auth.v1.method_auth) = { policy: "allow" }; }
  option (connectum.auth.v1.service_auth) = {
    default_policy: "allow"
  };
}`,
      want: ['AUTH008 10:5 default_policy: "allow"'],
    },
  ])("$name", ({ source, want }) => {
    expect(placesIn(head + source)).toEqual(want);
  });

  test("the same line where lines end in CR LF", () => {
    const source = `${head}service S {
  rpc A(M) returns (M) {
    option (connectum.auth.v1.method_auth) = {
      policy: "no"
    };
  }
  rpc B(M) returns (M);
}`;
    const want = ['AUTH002 8:7 policy: "no"', "AUTH001 11:3 rpc B(M) returns (M)"];
    expect(placesIn(source.replaceAll("\n", "\r\n"))).toEqual(want);
    expect(placesIn(source)).toEqual(want);
  });
});

describe("what the compiler recorded is enough:", () => {
  const source = `${head}service S {
  rpc A(M) returns (M) {
    option deprecated = true;
    option (connectum.auth.v1.method_auth) = {
      policy: "no"
    };
  }
  rpc B(M) returns (M);
}`;

  test.each([
    {
      name: "the option, as protoc does it",
      isRecorded: (path: number[]) => path.length <= 6,
      want: ["8:12", "12:3"],
    },
    {
      name: "the method",
      isRecorded: (path: number[]) => path.length <= 4,
      want: ["6:3", "12:3"],
    },
    {
      name: "the service",
      isRecorded: (path: number[]) => path.length <= 2,
      want: ["1:1", "1:1"],
    },
    { name: "nothing", isRecorded: () => false, want: ["1:1", "1:1"] },
  ])("$name", ({ isRecorded, want }) => {
    const places = placesIn(source, ({ sourceCodeInfo }) => {
      if (sourceCodeInfo !== undefined) {
        sourceCodeInfo.location = sourceCodeInfo.location.filter(({ path }) => isRecorded(path));
      }
    });
    expect(places.map((place) => place.split(" ")[1])).toEqual(want);
  });

  test("a location without a place is passed over", () => {
    const places = placesIn(source, ({ sourceCodeInfo }) => {
      for (const location of sourceCodeInfo?.location ?? []) {
        location.span = location.path.length > 6 ? [] : location.span;
      }
    });
    expect(places.map((place) => place.split(" ")[1])).toEqual(["8:12", "12:3"]);
  });

  test("an image without source info has its problems at the start of the file", () => {
    const folder = testFolder({
      "buf.yaml": "version: v2\n",
      "s.proto": source,
      [optionsPath]: readFileSync(join(root, "proto", optionsPath), "utf8"),
    });
    const buf = join(binaries, "buf");
    execFileSync(buf, ["build", "--exclude-source-info", "-o", "image.binpb"], { cwd: folder });
    const plugins = [{ local: pluginBinary, out: "gen", opt: ["target=ts"] }];
    writeFiles(folder, { "buf.gen.yaml": JSON.stringify({ version: "v2", plugins }) });
    const { stderr, status } = spawnSync(buf, ["generate", "image.binpb"], {
      cwd: folder,
      encoding: "utf8",
    });
    const lines = stderr.split("\n").filter((line) => line.startsWith("s.proto"));
    expect(lines.map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual([
      "s.proto:1:1: warning AUTH001 s.S.B:",
      "s.proto:1:1: error AUTH002 s.S.A:",
    ]);
    expect(status).not.toBe(0);
    expect(Object.keys(readFiles(folder)).filter((path) => path.includes("_auth"))).toEqual([]);
  });
});
