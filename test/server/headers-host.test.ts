import net from "node:net";
import { text } from "node:stream/consumers";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createJwtAuthInterceptor, createServerAuth } from "../../src/server/index.js";
import { PlainService } from "../gen/acme/plain/v1/plain_pb.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { type CountingServer, serve } from "../support/gated-server.js";
import { testSecret } from "../support/test-token.js";

let server: CountingServer;
afterEach(() => server.close());

/** A gate before UserService, and PlainService, which is exempt and has no table. */
async function serveGated(exempt: string) {
  const auth = createServerAuth({
    policies: [UserServicePolicies],
    authenticate: createJwtAuthInterceptor({ secret: testSecret }),
    exempt: [exempt],
  });
  const { interceptors } = auth;
  const routes = auth.guard((router) => {
    router.service(UserService, {});
    router.rpc(PlainService.method.open, () => ({}));
  });
  // throws for a URL that is none, where nobody would catch it: the process would end
  const handler = vi.fn(connectNodeAdapter({ routes, interceptors }));
  server = await serve("1.1", auth.gate(handler));
  return handler;
}

async function exchange(...lines: string[]): Promise<string> {
  const socket = net.connect(server.port);
  socket.write([...lines, "", ""].join("\r\n"));
  return text(socket);
}

const open = "/acme.plain.v1.PlainService/Open";
const whoAmI = "/acme.user.v1.UserService/WhoAmI";
const usual = ["connection: close", "content-length: 0", "content-type: application/proto"];

describe("a Host that is in no URL", () => {
  test.each(
    ["PUT", "DELETE", "OPTIONS", "PATCH"].flatMap((method) =>
      [open, whoAmI].map((path) => ({ method, path })),
    ),
  )("does not reach Connect with $method $path", async ({ method, path }) => {
    const handler = await serveGated("acme.plain.v1.PlainService/*");
    const answer = await exchange(`${method} ${path} HTTP/1.1`, "host: [", ...usual);
    expect(answer).toMatch(/^HTTP.1.1 400 Bad Request\r\n/);
    expect(handler).not.toHaveBeenCalled();
  });

  test.each(["acme.plain.v1.PlainService/*", "acme.plain.v1.PlainService/Open"])(
    "does not reach Connect for a method that is exempt as %s",
    async (exempt) => {
      const handler = await serveGated(exempt);
      const answer = await exchange(`POST ${open} HTTP/1.1`, "host: a b", ...usual);
      expect(answer).toMatch(/^HTTP.1.1 400 Bad Request\r\n/);
      const without = await exchange(`POST ${open} HTTP/1.0`, ...usual);
      expect(without).toMatch(/^HTTP.1.1 400 Bad Request\r\n/);
      expect(handler).not.toHaveBeenCalled();
      // with one that is in a URL, nobody is judged
      const good = await exchange(`POST ${open} HTTP/1.1`, "host: a", ...usual);
      expect(good).toMatch(/^HTTP.1.1 200 OK\r\n/);
    },
  );
});
