import { readFile } from "node:fs/promises";
import type { JsonValue } from "@bufbuild/protobuf";
import type { PolicySet } from "./policy-set.js";
import { readSnapshot } from "./read-snapshot.js";

/** Reads the policies in a file, or on standard input for `-`. Throws what is wrong with it, and names it. */
export async function readInput(path: string): Promise<PolicySet> {
  const name = path === "-" ? "standard input" : path;
  try {
    return await parse(path === "-" ? await readStandardInput() : await readFile(path));
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function parse(bytes: Uint8Array): Promise<PolicySet> {
  if (bytes.length === 0) {
    throw new Error("it is empty");
  }
  const json = parseJson(bytes);
  if (json === undefined) {
    // most of the program's start-up time, and snapshots do without
    const { readImage } = await import("./read-image.js");
    return readImage(bytes);
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json) && "file" in json) {
    const { readJsonImage } = await import("./read-image.js");
    return readJsonImage(json);
  }
  return readSnapshot(json);
}

/** An image begins with the tag of its first file, which is a line break in JSON. */
const imageTag = 0x0a;

/** `undefined`: it is an image. */
function parseJson(bytes: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (bytes[0] === imageTag) {
      return undefined;
    }
    const isText = error instanceof SyntaxError && /^\s*[[{]/.test(new TextDecoder().decode(bytes));
    throw new Error(
      isText
        ? `it is no JSON: ${error.message}`
        : "it is neither a snapshot (auth_policy.json) nor an image of buf build",
    );
  }
}
