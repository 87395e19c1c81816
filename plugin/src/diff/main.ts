import { matchesMethodPattern } from "../../../src/policy/method-pattern.js";
import packageJson from "../../package.json" with { type: "json" };
import { visibleText } from "../visible-text.js";
import { parseArguments } from "./arguments.js";
import { comparePolicies } from "./compare-policies.js";
import { changesJson, changesText, type JudgedChange } from "./print-changes.js";
import { readInput } from "./read-input.js";

const usage = `connect-auth-diff OLD NEW

Says what a change of access rules does to callers. OLD and NEW are snapshots
(snapshot_file of protoc-gen-connect-auth) or images (buf build -o -), as paths
or - for standard input.

  --allow METHOD  a method that may be relaxed: package.Service/Method or
                  package.Service/*. Can be repeated.
  --json          prints JSON
  --version, -h, --help

Exit codes: 0 nothing is relaxed, or only what is allowed; 1 a method is
relaxed: some callers get in that did not; 2 wrong arguments or inputs.
`;

/** The program `connect-auth-diff`. What is wrong goes to standard error, on one line. */
export async function main(): Promise<void> {
  // whatever ends the program early is no good news
  process.exitCode = 2;
  process.stdout.on("error", () => {}); // the reader has gone, as `head` does
  try {
    process.exitCode = await run(process.argv.slice(2));
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
  }
}

/** Gives the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const parsed = parseArguments(args);
  if (parsed === "help" || parsed === "version") {
    process.stdout.write(parsed === "help" ? usage : `connect-auth-diff v${packageJson.version}\n`);
    return 0;
  }
  const { allow, json } = parsed;
  const before = await readInput(parsed.before);
  const changes = comparePolicies(before, await readInput(parsed.after)).map(
    (change): JudgedChange => ({
      ...change,
      allowed: change.effect === "relaxed" && isNamed(change.method, allow),
    }),
  );
  for (const pattern of allow) {
    if (!changes.some(({ allowed, method }) => allowed && isNamed(method, [pattern]))) {
      complain(`--allow ${pattern} is not needed: no such method is relaxed`);
    }
  }
  process.stdout.write(json ? changesJson(changes) : changesText(changes));
  return changes.some(({ effect, allowed }) => effect === "relaxed" && !allowed) ? 1 : 0;
}

function isNamed(method: string, patterns: readonly string[]): boolean {
  const [service = "", name = ""] = method.split("/");
  return matchesMethodPattern(service, name, patterns);
}

function complain(message: string): void {
  process.stderr.write(
    `connect-auth-diff: ${visibleText(message.trim().replace(/\s*\n\s*/g, " "))}\n`,
  );
}
