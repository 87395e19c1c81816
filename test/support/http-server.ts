import http from "node:http";
import { text } from "node:stream/consumers";
import { listenOnLoopback } from "../../example/loopback.js";

/** A request that was read to its end. */
export interface ReceivedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** What to answer. `body`: JSON, unless it is text. Status 200 by default. */
export interface HttpAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** An HTTP server that remembers what it was asked. */
export interface TestHttpServer {
  readonly baseUrl: string;
  readonly requests: ReceivedRequest[];
  close(): Promise<void>;
}

/** Starts a server on a free port. `n` counts requests from 1. */
export async function startHttpServer(
  answer: (request: ReceivedRequest, n: number) => HttpAnswer,
): Promise<TestHttpServer> {
  const requests: ReceivedRequest[] = [];
  const server = http.createServer(async (req, res) => {
    const request = {
      method: req.method ?? "",
      path: req.url ?? "",
      headers: new Headers(Object.entries(req.headers).map(([name, value]) => [name, `${value}`])),
      body: await text(req),
    };
    const { status = 200, headers, body = "" } = answer(request, requests.push(request));
    const isText = typeof body === "string";
    res
      .writeHead(status, { "content-type": isText ? "text/plain" : "application/json", ...headers })
      .end(isText ? body : JSON.stringify(body));
  });
  const { baseUrl, close } = await listenOnLoopback(server);
  return { baseUrl, requests, close };
}
