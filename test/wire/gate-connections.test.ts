import http from "node:http";
import net from "node:net";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { listenOnLoopback } from "../../example/loopback.js";
import { awaitEndMs, lingerMs, maxDrainedBytes } from "../../src/server/gate-drain.js";
import {
  type CountingServer,
  createTestApi,
  createTestHandler,
  serve,
  type TestApi,
  until,
} from "../support/gated-server.js";
import { createTestToken } from "../support/test-token.js";

const path = "/acme.user.v1.UserService/DeleteUser";
const authorization = `Bearer ${await createTestToken({ roles: ["admin"], scope: "users:write" })}`;
const json = { "content-type": "application/json" };

let api: TestApi;
let server: CountingServer;
let agent: http.Agent;
beforeEach(async () => {
  api = createTestApi();
  server = await serve("1.1", api.gate(createTestHandler(api)));
  agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
});
afterEach(async () => {
  vi.useRealTimers();
  agent.destroy();
  await server.close();
});

/** Sends the parts of a body one after the other; `content-length` where there is one only. */
function post(headers: Record<string, string>, ...parts: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = server;
    const options = { method: "POST", port, path, agent, headers: { ...json, ...headers } };
    const req = http.request(options, async (res) => {
      const body = await buffer(res);
      resolve(`${res.statusCode} ${res.headers.connection} ${body}`);
    });
    req.on("error", reject);
    const last = parts.pop();
    for (const part of parts) {
      req.write(part);
    }
    req.end(last);
  });
}

const refused = '{"code":"unauthenticated","message":"missing credentials"}';

describe("a connection over HTTP/1.1", () => {
  test.each([
    { name: "none", parts: [] },
    { name: "a small one", parts: ["{}"] },
    { name: "one of the size that is read", parts: [Buffer.alloc(maxDrainedBytes)] },
    { name: "a small one in chunks", parts: ["{", "}"] },
    {
      name: "one of the size that is read, in chunks",
      parts: [Buffer.alloc(maxDrainedBytes / 2), Buffer.alloc(maxDrainedBytes / 2)],
    },
  ])("serves calls after a refused one with a body: $name", async ({ parts }) => {
    for (let n = 0; n < 3; n++) {
      expect(await post({}, ...parts)).toBe(`401 keep-alive ${refused}`);
    }
    expect(await post({ authorization }, '{"id":"1234"}')).toBe("200 keep-alive {}");
    expect(api.calls).toEqual(["DeleteUser by user: 4"]);
    expect(server.connections()).toBe(1);
  });

  test.each([
    { name: "announced", parts: [Buffer.alloc(maxDrainedBytes + 1)] },
    { name: "in chunks", parts: [Buffer.alloc(maxDrainedBytes), Buffer.alloc(1)] },
    { name: "in large chunks", parts: [Buffer.alloc(maxDrainedBytes), Buffer.alloc(1_000_000)] },
  ])("ends after a refused call with a larger body, $name", async ({ parts }) => {
    expect(await post({}, ...parts)).toBe(`401 close ${refused}`);
    expect(await post({ authorization }, "{}")).toBe("200 keep-alive {}");
    expect(server.connections()).toBe(2);
  });

  test("ends after a refused call whose body does not come", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const client = await connect();
    client.write(request({ "content-length": "10" }));
    client.write("12345");
    expect(await client.answer()).toMatch(
      /^HTTP.1.1 401 [\s\S]*keep-alive[\s\S]*missing credentials/,
    );
    const [socket] = server.sockets;
    vi.advanceTimersByTime(lingerMs - 1);
    expect(socket?.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(socket?.destroyed).toBe(true);
    await client.closed;
  });

  test.each([
    { name: "never", rest: "", isEnded: false },
    { name: "later", rest: "0\r\n\r\n", isEnded: true },
    { name: "too late", rest: `fffff\r\n${"1".repeat(0xfffff)}\r\n0\r\n\r\n`, isEnded: false },
  ])("ends after a refused call whose chunks end $name", async ({ rest, isEnded }) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const client = await connect();
    client.write(request({ "transfer-encoding": "chunked" }), "2\r\n{}\r\n");
    await until(() => vi.getTimerCount() === 1);
    const [socket] = server.sockets;
    vi.advanceTimersByTime(awaitEndMs - 1);
    expect(client.received()).toBe("");
    vi.advanceTimersByTime(1);
    expect(await client.answer()).toMatch(/^HTTP.1.1 401 [\s\S]*connection: close[\s\S]*missing/);
    await client.closed;
    client.write(rest);
    if (!isEnded) {
      expect(socket?.destroyed).toBe(false);
      vi.advanceTimersByTime(lingerMs);
    }
    await until(() => socket?.destroyed === true);
    expect(vi.getTimerCount()).toBe(0);
    expect(api.denials).toHaveLength(1);
  });

  test("keeps nothing of refused calls", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const client = await connect();
    const counts: unknown[] = [];
    for (let n = 0; n < 5; n++) {
      client.write(request({ "content-length": "2" }));
      await client.answer();
      client.write("{}");
      client.write(request({ authorization, "content-length": "2" }), "{}");
      await client.answer();
      const [socket] = server.sockets;
      counts.push(socket?.eventNames().map((name) => [name, socket.listenerCount(name)]));
      expect(Object.hasOwn(socket ?? {}, "destroySoon")).toBe(false);
      expect(vi.getTimerCount()).toBe(0);
    }
    expect(counts).toEqual(Array.from(counts, () => counts[0]));
    expect(api.calls).toHaveLength(5);
    client.end();
    await client.closed;
  });

  test("answers pipelined calls in their order", async () => {
    const client = await connect();
    const call = (headers: Record<string, string>) =>
      `${request({ ...headers, "content-length": "2" })}{}`;
    client.write(call({}), call({ authorization }), call({}), call({ authorization }));
    const statuses = [];
    for (let n = 0; n < 4; n++) {
      statuses.push((await client.answer()).slice(9, 12));
    }
    expect(statuses).toEqual(["401", "200", "401", "200"]);
    client.end();
    await client.closed;
  });

  test("sends no body that waits for the server to go on", async () => {
    await server.close();
    const node = http.createServer();
    const handler = createTestHandler(api);
    node.on(
      "checkContinue",
      api.gate((req, res) => {
        res.writeContinue();
        handler(req, res);
      }),
    );
    const { baseUrl, close } = await listenOnLoopback(node);
    server = { ...server, port: Number(new URL(baseUrl).port), close };
    const expecting = { "content-length": "13", expect: "100-continue" };
    const client = await connect();
    client.write(request(expecting));
    expect(await client.answer()).toMatch(/^HTTP.1.1 401 [\s\S]*connection: close[\s\S]*missing/i);
    await client.closed;
    const other = await connect();
    other.write(request({ ...expecting, authorization }));
    await until(() => other.received() === "HTTP/1.1 100 Continue\r\n\r\n");
    other.write('{"id":"1234"}');
    await until(() => other.received().includes("HTTP/1.1 200"));
    expect(api.calls).toEqual(["DeleteUser by user: 4"]);
  });

  test("stays open for the call before a refused one with a large body", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await server.close();
    server = await serve(
      "1.1",
      api.gate(async (_req, res) => {
        await released;
        res.end("the first one");
      }),
    );
    const client = await connect();
    client.write(request({ authorization, "content-length": "2" }), "{}");
    client.write(request({ "content-length": "1000000000" }), "1".repeat(maxDrainedBytes));
    await until(() => api.denials.length === 1);
    vi.advanceTimersByTime(10 * lingerMs);
    release();
    expect(await client.answer()).toMatch(/^HTTP.1.1 200 [\s\S]*the first one$/);
    expect(await client.answer()).toMatch(/^HTTP.1.1 401 [\s\S]*connection: close[\s\S]*missing/);
    await client.closed;
  });
});

/** The head of a request, with an empty line after it. */
function request(headers: Record<string, string>): string {
  const lines = Object.entries({ host: "localhost", ...json, ...headers });
  const head = [`POST ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`)];
  return `${head.join("\r\n")}\r\n\r\n`;
}

/** A connection that sends what the test wants, and reads one answer after the other. */
async function connect() {
  const socket = net.connect({ port: server.port, allowHalfOpen: true });
  await new Promise((resolve) => socket.once("connect", resolve));
  let received = "";
  let arrived = () => {};
  socket.on("data", (data) => {
    received += data.toString("latin1");
    arrived();
  });
  return {
    closed: new Promise<void>((resolve) => {
      socket.once("close", () => resolve()).once("end", () => resolve());
    }),
    received: () => received,
    write: (...parts: string[]) => socket.write(parts.join("")),
    end: () => socket.end(),
    async answer(): Promise<string> {
      for (;;) {
        const [, head = "", length = ""] =
          /^(HTTP[\s\S]*?content-length: (\d+)[\s\S]*?\r\n\r\n)/i.exec(received) ?? [];
        const end = head.length + Number(length);
        if (head !== "" && received.length >= end) {
          const answer = received.slice(0, end);
          received = received.slice(end);
          return answer;
        }
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
    },
  };
}
