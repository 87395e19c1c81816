import type { IncomingMessage, ServerResponse } from "node:http";

/** A POST to the token endpoint, the moment its body has arrived. */
export interface TokenRequest {
  readonly path: string;
  readonly grantType: string | null;
  readonly params: URLSearchParams;
  readonly headers: Headers;
  /** Of the answer; undefined until its head is sent. */
  readonly status: number | undefined;
}

/** Reads a request when its body has arrived, and leaves the body to whoever answers. */
export async function readTokenRequest(
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<TokenRequest> {
  const params = new URLSearchParams(await peekBody(req));
  return {
    path,
    grantType: params.get("grant_type"),
    params,
    headers: headersOf(req),
    get status() {
      return res.headersSent ? res.statusCode : undefined;
    },
  };
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] ?? "", rawHeaders[i + 1] ?? "");
  }
  return headers;
}

/** Resolves to the body of a request, which can still be read by whoever handles it next. */
function peekBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  const push = req.push.bind(req);
  return new Promise((resolve) => {
    req.push = (chunk: Buffer | null) => {
      push(chunk);
      if (chunk === null) {
        resolve(Buffer.concat(chunks).toString());
      } else {
        chunks.push(chunk);
      }
      // true: bring the rest too, although nobody reads yet
      return true;
    };
  });
}
