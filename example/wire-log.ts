import type { Denial } from "connectrpc-auth/server";
import type { WireRequest } from "./shop-server.js";

/** What came to the shop, and why it refused some of it. */
export interface WireLog {
  readonly requests: readonly WireRequest[];
  /** The reason of the last refusal, which clients are not told. */
  lastReason(): string;
  readonly onRequest: (request: WireRequest) => void;
  readonly onDenied: (denial: Denial) => void;
}

/** Makes a log that listens to the shop's server: its functions are options of it. */
export function createWireLog(): WireLog {
  const requests: WireRequest[] = [];
  let reason = "nothing was refused";
  return {
    requests,
    lastReason: () => reason,
    onRequest: (request) => requests.push(request),
    onDenied({ error: { cause, message } }) {
      reason = cause instanceof Error ? cause.message : message;
    },
  };
}
