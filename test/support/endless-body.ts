import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";

/** An answer to a request whose body has no end. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** A request to send. */
export interface EndlessRequest {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The certificate of the server, in PEM. Left out: no TLS. */
  readonly ca?: string;
}

/** How a body over HTTP/1.1 is framed: one gigabyte is announced, or nothing. */
export type Framing = "content-length" | "chunked";

const chunk = Buffer.alloc(16_384);
const framed = {
  "content-length": chunk,
  chunked: Buffer.concat([Buffer.from("4000\r\n"), chunk, Buffer.from("\r\n")]),
};
const framingHeader = {
  "content-length": "content-length: 1000000000",
  chunked: "transfer-encoding: chunked",
};

/**
 * Sends a body over HTTP/1.1 for as long as the server leaves the connection
 * open. Resolves when the server has ended it, or has answered with something
 * of another length; rejects where the connection breaks before.
 */
export function postEndlessly(
  { port, path, headers, ca }: EndlessRequest,
  framing: Framing,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const host = "127.0.0.1";
    const socket = ca === undefined ? net.connect({ port, host }) : tls.connect({ port, host, ca });
    const received: Buffer[] = [];
    const write = () => {
      while (socket.writable && socket.write(framed[framing])) {
        // until the connection is full
      }
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const head = [`POST ${path} HTTP/1.1`, "host: localhost", framingHeader[framing], ...lines];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    socket.on("drain", write);
    socket.on("data", (data) => received.push(data));
    socket.once("error", reject);
    socket.once("end", () => {
      resolve(parseAnswer(Buffer.concat(received)));
      socket.destroy();
    });
    write();
  });
}

/** Sends a body over HTTP/2 for as long as the server leaves the stream open. */
export function streamEndlessly(
  session: http2.ClientHttp2Session,
  { path, headers }: Omit<EndlessRequest, "port">,
): Promise<Answer & { readonly resetCode: number | undefined; readonly isHeaderOnly: boolean }> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ...headers, ":method": "POST", ":path": path });
    const received: Buffer[] = [];
    let response: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let isHeaderOnly = false;
    const write = () => {
      while (stream.writable && stream.write(chunk)) {
        // until the window is full
      }
    };
    stream.on("drain", write);
    stream.on("response", (header, flags) => {
      response = header;
      isHeaderOnly = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    });
    stream.on("data", (data) => received.push(data));
    stream.once("error", reject);
    stream.once("close", () => {
      const { ":status": status = 0, ...others } = response;
      const entries = Object.entries(others).map(([name, value]) => [name, `${value}`]);
      resolve({
        status,
        headers: Object.fromEntries(entries),
        body: Buffer.concat(received),
        resetCode: stream.rstCode,
        isHeaderOnly,
      });
    });
    write();
  });
}

/** Reads one response of HTTP/1.1 with a `content-length`. Throws where it is not whole, or followed by something. */
function parseAnswer(bytes: Buffer): Answer {
  const end = bytes.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = bytes.subarray(end + 4);
  if (end < 0 || body.length !== Number(headers["content-length"])) {
    throw new Error(`not one whole response: ${bytes.toString("latin1")}`);
  }
  return { status: Number(statusLine.split(" ")[1]), headers, body };
}
