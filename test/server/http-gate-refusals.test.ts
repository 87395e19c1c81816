import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { createTestApi } from "../support/gated-server.js";
import { matrixPath } from "../wire/protocols.js";

const path = matrixPath("authenticated", "Unary");

/** A gate whose authentication throws this error. */
function gateThatThrows(error: ConnectError) {
  return createTestApi({
    authenticate: { identityHeaders: [], authenticate: () => Promise.reject(error) },
  }).gate;
}

function call(error: ConnectError, contentType: string): Promise<Response> {
  const handler = (_request: Request): Response => {
    throw new Error("the handler was reached");
  };
  const headers = { "content-type": contentType };
  const request = new Request(`https://api.test${path}`, { method: "POST", headers });
  return Promise.resolve(gateThatThrows(error)(handler)(request));
}

describe("a refusal", () => {
  const fromUpstream = new ConnectError("no", Code.Unavailable, {
    "www-authenticate": "Bearer",
    connection: "close",
    "content-encoding": "gzip",
    "content-length": "1000",
    "content-type": "text/html",
    "http2-settings": "AAMAAABk",
    "keep-alive": "timeout=5",
    "proxy-connection": "close",
    te: "trailers",
    trailer: "grpc-status",
    "transfer-encoding": "chunked",
    upgrade: "h2c",
    "x-control": "a\x01b",
  });

  test.each(["application/json", "application/grpc", "text/plain"])(
    "carries no header that another response was sent with: %s",
    async (contentType) => {
      const { headers } = await call(fromUpstream, contentType);
      const names = [...headers.keys()].filter((name) => !name.startsWith("grpc-"));
      expect(names).toEqual(["content-type", "www-authenticate"]);
      expect(headers.get("content-type")).not.toBe("text/html");
    },
  );

  test.each(["application/connect+json", "application/grpc-web"])(
    "carries none in its body: %s",
    async (contentType) => {
      const text = await (await call(fromUpstream, contentType)).text();
      expect(text).toContain("www-authenticate");
      expect(text).not.toMatch(/gzip|chunked|x-control|close/);
    },
  );

  test.each([
    { contentType: "application/json", want: '{"code":"permission_denied","message":"refused"}' },
    { contentType: "application/connect+json", want: '"message":"refused"' },
    { contentType: "application/grpc-web", want: "grpc-message: refused" },
  ])("says little where its error cannot be encoded: $contentType", async (row) => {
    const details = [{ desc: DurationSchema, value: JSON.parse('{ "nanos": "many" }') }];
    const error = new ConnectError("no", Code.PermissionDenied, undefined, details);
    const response = await call(error, row.contentType);
    expect(await response.text()).toContain(row.want);
  });

  test("says little where its message cannot be encoded", async () => {
    const error = new ConnectError("half a pair: \ud800", Code.PermissionDenied);
    const { headers } = await call(error, "application/grpc");
    expect(headers.get("grpc-status")).toBe(`${Code.PermissionDenied}`);
    expect(headers.get("grpc-message")).toBe("refused");
  });

  test("does not change the error that onDenied is told of", async () => {
    const metadata = fromUpstream.metadata.get("content-type");
    await call(fromUpstream, "application/json");
    expect(metadata).toBe("text/html");
    expect(fromUpstream.metadata.get("content-type")).toBe("text/html");
  });
});
