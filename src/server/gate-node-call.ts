import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";

/** A request of node:http, node:https or node:http2. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;

/**
 * The path that the handler of a request goes by. A framework may have taken a
 * prefix off. `undefined`: the target of the request is no URL.
 */
export function readPath({ url = "" }: NodeRequest): string | undefined {
  return parse(url, "http://host")?.pathname;
}

/**
 * The URL that a client called, which is the one that a DPoP proof is for.
 * `undefined`: the request has no `Host`, or one that is in no URL.
 */
export function readUrl(req: NodeRequest): string | undefined {
  const host = "authority" in req ? req.authority : req.headers.host;
  if (host === undefined) {
    return undefined;
  }
  const isEncrypted = Reflect.get(Object(req.socket), "encrypted") === true;
  // Express takes the path of a mounted handler off `url`, and keeps all of it here
  const isKept = "originalUrl" in req && typeof req.originalUrl === "string";
  const target = isKept ? `${req.originalUrl}` : (req.url ?? "");
  return parse(target, `${isEncrypted ? "https" : "http"}://${host}`)?.href;
}

/** A path that begins with two slashes would name another host: anyone's, whom a check of origins then takes for ours. */
function parse(target: string, origin: string): URL | undefined {
  const path = target.replace(/^[/\\]+/, "/");
  return URL.canParse(path, origin) ? new URL(path, origin) : undefined;
}

/** The header of a request, as Connect makes it for interceptors. */
export function readHeader({ headers }: NodeRequest): Headers {
  const header = new Headers();
  for (const [name, values = []] of Object.entries(headers)) {
    // what HTTP/2 has for a request line
    if (!name.startsWith(":")) {
      for (const value of [values].flat()) {
        header.append(name, value);
      }
    }
  }
  return header;
}
