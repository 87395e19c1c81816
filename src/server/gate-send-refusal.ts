import { answerAndDrain } from "./gate-drain.js";
import type { NodeRequest } from "./gate-node-call.js";
import { resetSoon } from "./gate-reset.js";
import type { RefusalResponse } from "./write-refusal.js";

/** What is needed of a response. Those of node:http, node:https and node:http2 have it. */
export interface NodeResponse {
  statusCode: number;
  readonly headersSent: boolean;
  readonly writableFinished: boolean;
  setHeader(name: string, value: string | readonly string[]): unknown;
  end(): unknown;
  end(body: Uint8Array): unknown;
  once(event: "close" | "finish", listener: () => void): unknown;
  off(event: "close" | "finish", listener: () => void): unknown;
}

/**
 * Sends a refusal in place of a handler, and does away with a body that is left.
 * Headers that were set on the way, such as those for CORS, go along.
 */
export function sendRefusal(req: NodeRequest, res: NodeResponse, refusal: RefusalResponse): void {
  if (res.headersSent) {
    return; // something on the way has answered, such as a timeout
  }
  const { status, header, body } = refusal;
  res.statusCode = status;
  for (const name of new Set(header.keys())) {
    res.setHeader(name, name === "set-cookie" ? header.getSetCookie() : `${header.get(name)}`);
  }
  const answer = () => {
    if (body === undefined) {
      res.end(); // over HTTP/2, one frame for all
    } else {
      res.end(body);
    }
  };
  if ("stream" in req) {
    resetSoon(req.stream);
    answer();
  } else {
    answerAndDrain(req, res, answer);
  }
}
