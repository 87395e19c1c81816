import http, { type IncomingMessage, type ServerResponse } from "node:http";

/** Lets another server answer, as a gateway does that keeps the `Host` header. */
export function forward(req: IncomingMessage, res: ServerResponse, baseUrl: string): void {
  const { method, headers } = req;
  const sent = http.request(`${baseUrl}${req.url}`, { method, headers }, (answer) => {
    res.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(res);
  });
  sent.on("error", (error) => res.destroy(error));
  req.pipe(sent);
}
