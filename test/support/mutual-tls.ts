import { readFileSync } from "node:fs";
import { request } from "node:https";
import { text } from "node:stream/consumers";

/** A certificate and its key, in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Self-signed certificates for 127.0.0.1: see certificates/README.md. */
export const certificates = { server: read("server"), client: read("client") } as const;

function read(name: string): KeyPair {
  const pem = (file: string) =>
    readFileSync(new URL(`certificates/${file}`, import.meta.url), "utf8");
  return { cert: pem(`${name}.pem`), key: pem(`${name}-key.pem`) };
}

/**
 * Makes a `fetch` that trusts the test server, and shows a certificate when
 * there is one. Node's own can do neither without a package.
 */
export function createTlsFetch(certificate?: KeyPair): typeof fetch {
  return async (input, init) => {
    const { url, method, headers, signal, body } = new Request(input, init);
    const sent = body === null ? "" : await new Response(body).text();
    return new Promise((resolve, reject) => {
      const req = request(
        url,
        {
          method,
          headers: Object.fromEntries(headers),
          signal,
          ca: certificates.server.cert,
          ...certificate,
          // no resumed connections: those of another certificate, or of none
          agent: false,
        },
        (res) => {
          const { statusCode: status = 500 } = res;
          const received = new Headers();
          for (const [name, values = []] of Object.entries(res.headersDistinct)) {
            for (const value of values) {
              received.append(name, value);
            }
          }
          text(res).then(
            (answer) => resolve(new Response(answer, { status, headers: received })),
            reject,
          );
        },
      );
      req.on("error", reject);
      req.end(sent);
    });
  };
}
