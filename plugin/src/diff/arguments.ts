import { parseArgs } from "node:util";
import { createMethodMatcher } from "../../../src/policy/method-pattern.js";

/** What the program is asked for. */
export interface Arguments {
  /** The inputs: paths, or `-` for standard input. */
  readonly before: string;
  readonly after: string;
  /** Patterns of methods that may be relaxed. */
  readonly allow: readonly string[];
  /** Whether JSON is printed. */
  readonly json: boolean;
}

/** Reads the arguments. Throws for those that there are not, and for patterns that are none. */
export function parseArguments(args: readonly string[]): Arguments | "help" | "version" {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      allow: { type: "string", multiple: true, default: [] },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      version: { type: "boolean", default: false },
    },
  });
  if (values.help || values.version) {
    return values.help ? "help" : "version";
  }
  const [before, after, ...others] = positionals;
  if (before === undefined || after === undefined || others.length > 0) {
    throw new Error(`there must be two inputs, OLD and NEW, not ${positionals.length}; see --help`);
  }
  if (before === "-" && after === "-") {
    throw new Error("only one of the inputs can be standard input");
  }
  if (values.allow.includes("*")) {
    throw new Error(
      '--allow "*" would allow every change; name methods or services, such as package.Service/*',
    );
  }
  try {
    createMethodMatcher(values.allow);
  } catch (error) {
    throw new Error(`--allow: ${error instanceof Error ? error.message : error}`);
  }
  return { before, after, allow: values.allow, json: values.json };
}
