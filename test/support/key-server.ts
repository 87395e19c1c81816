import http, { type ServerResponse } from "node:http";
import { listenOnLoopback } from "../../example/loopback.js";

/** An answer: a JSON object with status 200, or what a function writes. */
export type KeyAnswer = object | ((res: ServerResponse) => void);

/** A server of key sets that counts. */
export interface KeyServer {
  readonly baseUrl: string;
  /** Path and query of each request. */
  readonly requests: string[];
  /** Answers all requests from now on, whatever their path. */
  answerWith(answer: KeyAnswer): void;
  /** Fulfilled when the next request came. */
  nextRequest(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one that has no keys yet. */
export async function startKeyServer(): Promise<KeyServer> {
  let answer: KeyAnswer = { keys: [] };
  let waiting: (() => void)[] = [];
  const requests: string[] = [];
  const server = http.createServer((req, res) => {
    requests.push(req.url ?? "");
    if (typeof answer === "function") {
      answer(res);
    } else {
      res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
    }
    for (const resolve of waiting) {
      resolve();
    }
    waiting = [];
  });
  return {
    ...(await listenOnLoopback(server)),
    requests,
    answerWith(next) {
      answer = next;
    },
    nextRequest: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
