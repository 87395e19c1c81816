import http from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { definePolicies } from "../../src/index.js";
import { createJwtAuthInterceptor, createServerAuth } from "../../src/server/index.js";
import { PlainService } from "../gen/acme/plain/v1/plain_pb.js";
import { type CountingServer, serve } from "../support/gated-server.js";
import { signToken } from "../support/signed-tokens.js";
import { createTestToken, testSecret } from "../support/test-token.js";

const token = await createTestToken();

describe("no header is made of what a caller, or a policy, says", () => {
  const lines = 'x"\r\nset-cookie: a=b\r\n\r\n, Basic realm="y\u2028';
  let server: CountingServer | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  /** What is answered to a call of `Open`, which wants this scope. */
  async function answerTo(scope: string, authorization: string): Promise<http.IncomingMessage> {
    const auth = createServerAuth({
      policies: [
        definePolicies(PlainService, {
          open: { kind: "requires", roles: [], scopes: [scope] },
          closed: { kind: "denied" },
        }),
      ],
      authenticate: createJwtAuthInterceptor({
        secret: testSecret,
        dpop: { publicOrigins: ["https://api.test"] },
      }),
    });
    server = await serve(
      "1.1",
      connectNodeAdapter({
        routes: (router) => router.service(PlainService, {}),
        interceptors: auth.interceptors,
      }),
    );
    const { port } = server;
    return new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", authorization };
      const path = "/acme.plain.v1.PlainService/Open";
      const req = http.request({ port, method: "POST", path, headers, agent: false }, (res) => {
        res.resume().on("end", () => resolve(res));
      });
      req.on("error", reject).end("{}");
    });
  }

  const usual = ["connection", "content-length", "content-type", "date", "www-authenticate"];

  test.each<{ name: string; header?: object; payload?: object }>([
    { name: "a type", header: { typ: lines } },
    { name: "an algorithm", header: { alg: lines } },
    { name: "a key id", header: { kid: lines, crit: ["kid"] } },
    { name: "a subject", payload: { sub: [lines] } },
    { name: "a time", payload: { exp: lines } },
    { name: "a key that it is bound to", payload: { cnf: { [lines]: lines } } },
  ])("of $name in a token", async ({ header, payload }) => {
    const hostile = signToken({
      header: { alg: "HS256", ...header },
      payload: { sub: "alice", exp: 4e9, ...payload },
      alg: "HS256",
      key: Buffer.from(testSecret),
    });
    const { statusCode, headers } = await answerTo("use", `Bearer ${hostile}`);
    expect(statusCode).toBe(401);
    expect(Object.keys(headers).sort()).toEqual(usual);
    expect(headers["www-authenticate"]).toBe(
      'Bearer error="invalid_token", DPoP algs="ES256 Ed25519 EdDSA"',
    );
  });

  test("of a scope that a caller lacks", async () => {
    const { statusCode, headers } = await answerTo("use", `Bearer ${token}`);
    expect(statusCode).toBe(403);
    expect(Object.keys(headers).sort()).toEqual(usual);
    expect(headers["www-authenticate"]).toBe('Bearer error="insufficient_scope", scope="use"');
  });

  test.each([lines, 'a" , Basic realm="b', "a\\", "a\u00e9", "a\u2028b", ""])(
    "of the scope %j in a policy",
    async (scope) => {
      const { statusCode, headers } = await answerTo(scope, `Bearer ${token}`);
      expect(statusCode).toBe(403);
      expect(Object.keys(headers).sort()).toEqual(usual);
      expect(headers["www-authenticate"]).toBe('Bearer error="insufficient_scope"');
    },
  );
});
