import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";

/** How many services there are in a file. */
export const servicesPerFile = 4;
const filesPerPackage = 10;

/**
 * Writes proto files with as many services, like those of a large company: four
 * to a file, ten files to a package, each service with eight methods, comments,
 * and access rules of all kinds. Gives the folder, a module for buf.
 */
export function writeServices(directory: string, count: number): string {
  const module = join(directory, `services-${count}`);
  cpSync(fileURLToPath(new URL("../proto", import.meta.url)), module, { recursive: true });
  for (let first = 0; first < count; first += servicesPerFile) {
    const path = `${serviceFile(first)}.proto`;
    const folder = posix.dirname(path);
    const last = Math.min(first + servicesPerFile, count);
    const services = Array.from({ length: last - first }, (_, i) => service(first + i));
    mkdirSync(join(module, folder), { recursive: true });
    writeFileSync(
      join(module, path),
      `// Keeps records.
syntax = "proto3";

package ${folder.replaceAll("/", ".")};

import "connectum/auth/v1/options.proto";
${services.join("")}`,
    );
  }
  writeFileSync(join(module, "buf.yaml"), "version: v2\n");
  return module;
}

/** The proto file with a service, without extension. */
export function serviceFile(number: number): string {
  const file = Math.floor(number / servicesPerFile);
  return `acme/p${Math.floor(file / filesPerPackage)}/v1/services_${file}`;
}

/** The default of every fourth service is another one. */
const defaults = [
  'default_policy: "deny"',
  'default_policy: "allow"',
  'default_requires: { roles: ["member"] }',
  "internal: true",
];

function service(number: number): string {
  const name = `Record${number}`;
  const isInternal = number % defaults.length === 3;
  const open = isInternal ? "public: true, internal: false" : "public: true";
  const scope = `scopes: ["record${number % 50}:write"]`;
  const auth = (rules: string) => `option (connectum.auth.v1.method_auth) = { ${rules} };`;
  return `
// Keeps the records of kind ${number}, and tells who changed them.
service ${name}Service {
  option (connectum.auth.v1.service_auth) = { ${defaults[number % defaults.length]} };

  // Gets one record. There is an error where it does not exist.
  rpc Get${name}(Get${name}Request) returns (${name}) {
    option idempotency_level = NO_SIDE_EFFECTS;
    ${auth(open)}
  }
  // Lists records, the newest first.
  rpc List${name}s(List${name}sRequest) returns (List${name}sResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    ${auth(open)}
  }
  // Makes a record.
  rpc Create${name}(${name}) returns (${name}) {
    ${auth(`requires: { roles: ["admin", "editor"], ${scope} }`)}
  }
  // Changes a record.
  rpc Update${name}(${name}) returns (${name}) {
    ${auth(`requires: { roles: ["editor"], ${scope} }`)}
  }
  // Deletes a record for good.
  rpc Delete${name}(Get${name}Request) returns (${name}) {
    ${auth(`requires: { roles: ["admin"], ${scope} }`)}
  }
  // Tells of changes as they happen.
  rpc Watch${name}s(List${name}sRequest) returns (stream ${name}) {
    ${auth(`requires: { scopes: ["record${number % 50}:read"] }`)}
  }
  // Builds the index of the records anew. Takes a while.
  rpc Reindex${name}s(List${name}sRequest) returns (List${name}sResponse) {
    ${auth(isInternal ? `requires: { roles: ["indexer"] }` : "internal: true")}
  }
  // Tells whether the records can be had.
  rpc Check${name}s(List${name}sRequest) returns (List${name}sResponse) {
    ${number % defaults.length === 1 ? "" : auth('requires: { roles: ["operator", "admin"] }')}
  }
}

// A record of kind ${number}.
message ${name} {
  // Its name, unique among its kind.
  string name = 1;
  // What people call it.
  string title = 2;
  // How often it was changed.
  int64 revision = 3;
  // What it is found by.
  repeated string labels = 4;
  // More about it.
  map<string, string> properties = 5;
  // The record that it belongs to.
  optional string parent = 6;
}

// Says which record.
message Get${name}Request {
  string name = 1;
  int64 revision = 2;
}

// Says which records.
message List${name}sRequest {
  string filter = 1;
  int32 page_size = 2;
  string page_token = 3;
}

// Some of the records.
message List${name}sResponse {
  repeated ${name} records = 1;
  string next_page_token = 2;
}
`;
}
