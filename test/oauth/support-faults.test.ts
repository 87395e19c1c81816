import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import type { Fault } from "../support/faulty-server.js";
import { basic, post } from "../support/post-form.js";

let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
});

afterEach(() => as.fault(undefined));

afterAll(() => as.close());

describe("faults", () => {
  const ask = () =>
    fetch(as.tokenEndpoint, {
      method: "POST",
      redirect: "manual",
      headers: basic(as.clients.basic),
      body: new URLSearchParams({ grant_type: "client_credentials" }),
    });

  const answered: {
    fault: Fault;
    status: number;
    headers?: Record<string, string>;
    body: RegExp;
  }[] = [
    { fault: { type: "slow", ms: 1 }, status: 200, body: /"access_token":"[\w-]{43}"/ },
    {
      fault: { type: "status", status: 429, headers: { "retry-after": "5" }, body: "{}" },
      status: 429,
      headers: { "retry-after": "5", "content-type": "application/json" },
      body: /^\{\}$/,
    },
    {
      fault: { type: "status", status: 502, body: "<p>", contentType: "text/html" },
      status: 502,
      headers: { "content-type": "text/html" },
      body: /^<p>$/,
    },
    {
      fault: { type: "body", json: { expires_in: "60s" } },
      status: 200,
      body: /^{"expires_in":"60s"}$/,
    },
    {
      fault: { type: "changed", change: (answer) => ({ ...answer, token_type: "mac" }) },
      status: 200,
      body: /"access_token":"[\w-]{43}".*"token_type":"mac"/,
    },
    {
      fault: { type: "redirect", location: "https://other.test/" },
      status: 307,
      headers: { location: "https://other.test/" },
      body: /^$/,
    },
    { fault: { type: "stream", bytes: 300_000 }, status: 200, body: /^.{300000}$/ },
  ];

  test.each(answered)("$fault.type", async ({ fault, status, headers = {}, body }) => {
    as.fault(fault);
    const response = await ask();
    expect(response.status).toBe(status);
    expect(as.requests.at(-1)?.status).toBe(status);
    expect(Object.fromEntries(response.headers)).toMatchObject(headers);
    expect(await response.text()).toMatch(body);
  });

  test.each(["reset", "lost-answer"] as const)("%s", async (type) => {
    as.fault({ type });
    await expect(ask()).rejects.toMatchObject({ cause: { code: "ECONNRESET" } });
    expect(as.requests.at(-1)).toMatchObject({
      grantType: "client_credentials",
      status: undefined,
    });
  });

  test("lost-answer has done the work", async () => {
    const { clientId } = as.clients.public;
    const token = await as.createRefreshToken({ clientId, scope: "orders:read" });
    const body = { grant_type: "refresh_token", refresh_token: token, client_id: clientId };
    as.fault((n) => (n === 1 ? { type: "lost-answer" } : undefined));
    await expect(post(as.tokenEndpoint, body)).rejects.toThrow(/^fetch failed$/);
    expect(await post(as.tokenEndpoint, body)).toMatchObject({
      status: 400,
      json: { error: "invalid_grant" },
    });
  });

  test("held waits for the test", async () => {
    let release = () => {};
    as.fault({ type: "held", until: new Promise<void>((resolve) => (release = resolve)) });
    const before = as.requests.length;
    const asked = ask();
    await vi.waitUntil(() => as.requests.length > before);
    // an answer would come before that of a later request
    await fetch(as.jwksUri);
    expect(as.requests.at(-1)?.status).toBeUndefined();
    release();
    expect((await asked).status).toBe(200);
  });

  test("an endless stream goes on until the client leaves", async () => {
    as.fault({ type: "stream", bytes: Number.POSITIVE_INFINITY });
    const { body } = await ask();
    let received = 0;
    for await (const chunk of body ?? []) {
      received += chunk.length;
      if (received > 1_000_000) {
        break;
      }
    }
    expect(received).toBeGreaterThan(1_000_000);
  });

  test("hang and stall last until the server closes", async () => {
    const server = await startAuthorizationServer();
    server.fault((n) => ({ type: n === 1 ? "hang" : "stall" }));
    const hanging = fetch(server.tokenEndpoint, { method: "POST", body: new URLSearchParams() });
    const ended = expect(hanging).rejects.toThrow(/^fetch failed$/);
    await vi.waitUntil(() => server.requests.length === 1);
    const stalled = await fetch(server.tokenEndpoint, { method: "POST" });
    expect(stalled.status).toBe(200);
    expect(server.requests.map(({ status }) => status)).toEqual([undefined, 200]);
    await server.close();
    await ended;
    await expect(stalled.text()).rejects.toThrow(/^terminated$/);
  });

  test("are counted from 1 since they were set", async () => {
    const counted: number[] = [];
    for (let round = 0; round < 2; round++) {
      as.fault((n) => {
        counted.push(n);
        return undefined;
      });
      await ask();
      await ask();
    }
    expect(counted).toEqual([1, 2, 1, 2]);
  });
});
