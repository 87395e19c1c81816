import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createKeySet } from "../../src/server/key-set.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import { type KeyAnswer, type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf, outcomeOf, tokenBy } from "../support/key-sets.js";
import { now } from "../support/signed-tokens.js";

const first = createIssuerKey("1");
const second = createIssuerKey("2");
const good = JSON.stringify(keySetOf(first, second));
const maxBytes = 50 * 1024;

let server: KeyServer;
/** Where redirects lead to: a server that has the keys. */
let elsewhere: KeyServer;
beforeAll(async () => {
  server = await startKeyServer();
  elsewhere = await startKeyServer();
  elsewhere.answerWith(keySetOf(first, second));
});
afterAll(async () => {
  await server.close();
  await elsewhere.close();
});
beforeEach(() => {
  server.requests.length = 0;
  useFakeTime(now * 1000);
});
afterEach(useRealTime);

const newKeySet = () => createKeySet(`${server.baseUrl}/jwks`);
const failed = (reason: string) => `Unavailable: ${server.baseUrl}/jwks: ${reason}`;
const json = { "content-type": "application/json" };

/** A key set with both keys and so many bytes. */
function setOfBytes(bytes: number): string {
  const padding = bytes - good.length - ',"x":""'.length;
  return `${good.slice(0, -1)},"x":"${"x".repeat(padding)}"}`;
}

describe("a key set is read", () => {
  test.each<{ name: string; answer: KeyAnswer }>([
    { name: "of 50 KiB", answer: (res) => res.end(setOfBytes(maxBytes)) },
    { name: "of text", answer: (res) => res.setHeader("content-type", "text/plain").end(good) },
    { name: "with a byte order mark", answer: (res) => res.end(`\ufeff${good}`) },
    {
      name: "that is compressed",
      answer: (res) => res.setHeader("content-encoding", "gzip").end(gzipSync(good)),
    },
    {
      name: "in pieces",
      answer: (res) => {
        for (const byte of Buffer.from(good)) {
          res.write(Buffer.of(byte));
        }
        res.end();
      },
    },
  ])("$name", async ({ answer }) => {
    server.answerWith(answer);
    expect(await outcomeOf(newKeySet(), tokenBy(second))).toBe("ok");
    expect(server.requests).toHaveLength(1);
  });
});

/** Also by a key set that has no keys yet, which asks once. `reason`: how it begins. */
async function expectRefused(answer: KeyAnswer, reason: string) {
  server.answerWith(keySetOf(first));
  const keys = newKeySet();
  expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
  server.answerWith(answer);
  vi.advanceTimersByTime(31_000);
  expect(await outcomeOf(keys, tokenBy(second))).toContain(failed(reason));
  expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
  expect(server.requests).toHaveLength(2);

  const empty = newKeySet();
  const outcome = await outcomeOf(empty, tokenBy(second));
  expect(outcome).toContain(failed(reason));
  expect(await outcomeOf(empty, tokenBy(second))).toBe(`${outcome}, and is not asked again yet`);
  expect(server.requests).toHaveLength(3);
}

describe("what is no key set leaves the known keys:", () => {
  test.each([201, 204, 206, 400, 401, 403, 404, 410, 429, 500, 502, 503])(
    "status %d, whatever comes with it",
    async (status) => {
      await expectRefused((res) => res.writeHead(status, json).end(good), `status ${status}`);
    },
  );

  test.each([300, 301, 302, 303, 307, 308])("a redirect (%d), even to the keys", async (status) => {
    const location = `${elsewhere.baseUrl}/jwks`;
    await expectRefused(
      (res) => res.writeHead(status, { location }).end(good),
      `redirects (status ${status})`,
    );
    expect(elsewhere.requests).toEqual([]);
  });

  const x = "x".repeat(200);
  test.each<{ name: string; body: string | Uint8Array }>([
    { name: "nothing", body: "" },
    { name: "HTML", body: "<!doctype html><title>Sign in</title>" },
    { name: "JSON that does not end", body: good.slice(0, -1) },
    { name: "two sets", body: `${good}${good}` },
    { name: "null", body: "null" },
    { name: "text", body: JSON.stringify(good) },
    { name: "a list of keys", body: JSON.stringify(keySetOf(first, second).keys) },
    { name: "one key", body: JSON.stringify(second.jwk) },
    { name: "no keys", body: '{"keys":[]}' },
    { name: "keys in an object", body: JSON.stringify({ keys: { 0: second.jwk, length: 1 } }) },
    { name: "keys of an own __proto__", body: `{"__proto__":${good}}` },
    { name: "a document about keys", body: '{"jwks_uri":"https://issuer.test/jwks"}' },
    { name: "an error", body: '{"error":"server_error"}' },
    { name: "what are no keys", body: '{"keys":[null,1,"x",[],{},{"kty":"x"},{"kty":["EC"]}]}' },
    { name: "secrets", body: `{"keys":[{"kty":"oct","kid":"2","k":"${x}"}]}` },
    {
      name: "keys for encryption only",
      body: JSON.stringify({ keys: [{ ...second.jwk, use: "enc" }] }),
    },
    { name: "UTF-16", body: Buffer.from(good, "utf16le") },
  ])("$name", async ({ body }) => {
    await expectRefused((res) => res.writeHead(200, json).end(body), "no key set");
  });

  test.each<{ name: string; answer: (res: ServerResponse) => void }>([
    { name: "one byte too much", answer: (res) => res.end(setOfBytes(maxBytes + 1)) },
    {
      name: "a gigabyte that is announced",
      answer: (res) => {
        res.writeHead(200, { ...json, "content-length": 2 ** 30 });
        res.write("x".repeat(maxBytes + 1));
      },
    },
    {
      name: "megabytes in a few that are compressed",
      answer: (res) => {
        const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024, " "));
        res.writeHead(200, { ...json, "content-encoding": "gzip" }).end(bomb);
      },
    },
    {
      name: "what never ends",
      answer: (res) => {
        const more = () => {
          while (res.write("x".repeat(16 * 1024)));
        };
        res.on("drain", more);
        more();
      },
    },
  ])("$name", async ({ answer }) => {
    await expectRefused(answer, `more than ${maxBytes} bytes`);
  });

  test("a body that breaks off", async () => {
    await expectRefused((res) => {
      res.writeHead(200, { ...json, "content-length": good.length });
      res.write(good.slice(0, 100), () => res.destroy());
    }, "no answer");
  });

  test("a connection that breaks off", async () => {
    await expectRefused((res) => res.destroy(), "no answer");
  });

  test("what is not HTTP", async () => {
    await expectRefused((res) => res.socket?.end("SSH-2.0-OpenSSH\r\n"), "no answer");
  });
});

test("lists in lists, which not every runtime can copy, leave the known keys", async () => {
  server.answerWith(keySetOf(first));
  const keys = newKeySet();
  expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  const set = JSON.stringify({ keys: [first.jwk, { ...second.jwk, x5c: "deep" }] });
  server.answerWith((res) => res.writeHead(200, json).end(set.replace('"deep"', deep)));
  vi.advanceTimersByTime(31_000);
  expect(["ok", failed("no key set")]).toContain(await outcomeOf(keys, tokenBy(second)));
  expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
});

describe("a key set that does not come within 5 s leaves the known keys:", () => {
  /** What the server does second by second, and that it is let go then. */
  async function expectTimeout(begin: (res: ServerResponse) => void, eachSecond = "") {
    server.answerWith(keySetOf(first));
    const keys = newKeySet();
    expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    vi.advanceTimersByTime(31_000);

    let response: ServerResponse | undefined;
    let closed: Promise<void> | undefined;
    server.answerWith((res) => {
      response = res;
      closed = new Promise((resolve) => res.on("close", resolve));
      begin(res);
    });
    const asked = server.nextRequest();
    let outcome = "";
    const done = outcomeOf(keys, tokenBy(second)).then((result) => {
      outcome = result;
    });
    await asked;
    for (let second = 1; second <= 4; second++) {
      await vi.advanceTimersByTimeAsync(1_000);
      if (eachSecond !== "") {
        response?.write(eachSecond);
      }
      expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    }
    await vi.advanceTimersByTimeAsync(999);
    expect(outcome).toBe("");
    await vi.advanceTimersByTimeAsync(1);
    await done;
    expect(outcome).toBe(failed("no answer within 5 s"));
    expect(await outcomeOf(keys, tokenBy(first))).toBe("ok");
    await closed;
    expect(server.requests).toHaveLength(2);
  }

  test("a server that says nothing", async () => {
    await expectTimeout(() => {});
  });

  test("a server that sends headers, and no body", async () => {
    await expectTimeout((res) => res.writeHead(200, json).flushHeaders());
  });

  test("a server that sends a little every second", async () => {
    await expectTimeout((res) => res.writeHead(200, json).write('{"keys":['), " ");
  });

  test("a server that says it is down, very slowly", async () => {
    let closed: Promise<void> | undefined;
    server.answerWith((res) => {
      closed = new Promise((resolve) => res.on("close", resolve));
      res.writeHead(503, json).write("x");
    });
    // the rest is not waited for
    expect(await outcomeOf(newKeySet(), tokenBy(first))).toBe(failed("status 503"));
    await closed;
  });
});
