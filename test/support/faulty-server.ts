import type { IncomingMessage, ServerResponse } from "node:http";

/** What an endpoint does instead of its work. */
export type Fault =
  /** Reads the request and never answers. */
  | { readonly type: "hang" }
  /** Reads the request and resets the connection. */
  | { readonly type: "reset" }
  /** Does its work, then resets the connection instead of answering. */
  | { readonly type: "lost-answer" }
  /** Does its work `ms` later. */
  | { readonly type: "slow"; readonly ms: number }
  /** Does its work when the promise is fulfilled: a delay that a test ends itself. */
  | { readonly type: "held"; readonly until: Promise<unknown> }
  /** Sends an answer of its own. `contentType` is `application/json` by default. */
  | {
      readonly type: "status";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly contentType?: string;
    }
  /** Sends this JSON with status 200. */
  | { readonly type: "body"; readonly json: unknown }
  /** Does its work, and sends what `change` makes of the JSON that it would have sent. */
  | { readonly type: "changed"; readonly change: (answer: object) => unknown }
  /** Sends the client elsewhere. `status` is 307 by default, which keeps method and body. */
  | { readonly type: "redirect"; readonly location: string; readonly status?: number }
  /** Sends the beginning of a body, and nothing more. */
  | { readonly type: "stall" }
  /** Sends a body of so many bytes, `Infinity` included, as fast as it is read. */
  | { readonly type: "stream"; readonly bytes: number };

/** One fault for every request; or for each, counted from 1 since this was set; or none. */
export type Faults = Fault | undefined | ((n: number) => Fault | undefined);

/** The faults of one endpoint. */
export interface FaultPlan {
  set(faults: Faults): void;
  /** The fault for the request that is next. */
  next(): Fault | undefined;
}

export function createFaultPlan(): FaultPlan {
  let planned: Faults;
  let count = 0;
  return {
    set(faults) {
      planned = faults;
      count = 0;
    },
    next() {
      count++;
      return typeof planned === "function" ? planned(count) : planned;
    },
  };
}

/** Answers a request with a fault. `work` is the answer without one. */
export function answerWithFault(
  fault: Fault | undefined,
  req: IncomingMessage,
  res: ServerResponse,
  work: () => void,
): void {
  switch (fault?.type) {
    case undefined:
      work();
      return;
    case "hang":
      return;
    case "reset":
      req.socket.resetAndDestroy();
      return;
    case "lost-answer":
      res.end = () => {
        req.socket.resetAndDestroy();
        return res;
      };
      work();
      return;
    case "slow": {
      const timer = setTimeout(work, fault.ms);
      res.once("close", () => clearTimeout(timer));
      return;
    }
    case "held":
      void fault.until.then(work);
      return;
    case "status": {
      const { status, headers, body = "", contentType = "application/json" } = fault;
      res.writeHead(status, { ...cors, "content-type": contentType, ...headers }).end(body);
      return;
    }
    case "body":
      sendJson(res, fault.json);
      return;
    case "changed": {
      const end = res.end.bind(res);
      res.end = (chunk?: unknown) => {
        const answer: unknown = JSON.parse(String(chunk));
        if (typeof answer !== "object" || answer === null) {
          throw new Error("only an answer that is an object can be changed");
        }
        const changed = JSON.stringify(fault.change(answer));
        res.setHeader("content-length", Buffer.byteLength(changed));
        return end(changed);
      };
      work();
      return;
    }
    case "redirect":
      res.writeHead(fault.status ?? 307, { ...cors, location: fault.location }).end();
      return;
    case "stall":
      res.writeHead(200, { ...cors, "content-type": "application/json" });
      res.write('{"access_token":"');
      return;
    case "stream":
      res.writeHead(200, { ...cors, "content-type": "application/json" });
      stream(res, fault.bytes);
      return;
  }
}

/** Sends JSON with status 200, readable for pages of any origin. */
export function sendJson(res: ServerResponse, json: unknown): void {
  res.writeHead(200, { ...cors, "content-type": "application/json" }).end(JSON.stringify(json));
}

// a browser would otherwise show a script nothing of a faulty answer
const cors = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "DPoP-Nonce, Retry-After, WWW-Authenticate",
};

function stream(res: ServerResponse, bytes: number): void {
  const prefix = '{"access_token":"';
  const suffix = '"}';
  let left = bytes - prefix.length - suffix.length;
  const chunk = Buffer.alloc(64 * 1024, "a");
  const writeMore = () => {
    while (left > 0) {
      const next = chunk.subarray(0, Math.min(left, chunk.length));
      left -= next.length;
      if (!res.write(next)) {
        res.once("drain", writeMore);
        return;
      }
    }
    res.end(suffix);
  };
  res.write(prefix);
  writeMore();
}
