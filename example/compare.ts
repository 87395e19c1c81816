import type { DescMethod } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { MethodPolicy } from "connectrpc-auth";
import type { AuthzRule } from "connectrpc-auth/server";
import type { Caller } from "./callers.js";
import { callsToEverything } from "./calls.js";
import { type Outcome, promisedOutcome } from "./promise.js";
import { createStubbornClients } from "./shop-clients.js";

/** A method, and how it answered each caller. */
export interface Row {
  readonly method: DescMethod;
  readonly policy: MethodPolicy;
  readonly cells: Cell[];
}

/** One call: how it was to end, and how it did. */
export interface Cell {
  readonly caller: string;
  readonly promised: Outcome;
  readonly actual: Outcome;
}

/** Lets every caller call every method of the shop. */
export async function compareWithPromise(
  baseUrl: string,
  callers: readonly Caller[],
  rules: readonly AuthzRule[],
): Promise<Row[]> {
  const rows = new Map<DescMethod, Row>();
  for (const { name, auth, identity } of callers) {
    for (const { method, policy, run } of callsToEverything(createStubbornClients(baseUrl, auth))) {
      const row = rows.get(method) ?? { method, policy, cells: [] };
      rows.set(method, row);
      row.cells.push({
        caller: name,
        promised: promisedOutcome(method, policy, identity, rules),
        actual: await outcomeOf(run),
      });
    }
  }
  return [...rows.values()];
}

/** Whether each call ended as promised. */
export function allAsPromised(rows: readonly Row[]): boolean {
  return rows.every(({ cells }) => cells.every(isAsPromised));
}

/** Whether a call ended as promised. */
export function isAsPromised({ promised, actual }: Cell): boolean {
  return promised === actual;
}

/** How a call ends. */
export async function outcomeOf(run: () => Promise<unknown>): Promise<Outcome> {
  try {
    await run();
    return "ok";
  } catch (error) {
    return ConnectError.from(error).code;
  }
}
