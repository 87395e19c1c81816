import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createAuthClient } from "../../src/oauth/index.js";
import {
  startAuthorizationServer,
  type TestAuthorizationServer,
} from "../support/authorization-server.js";
import { watchSecrets } from "../support/secrets.js";

const secrets = watchSecrets();
const start = Date.parse("2026-01-01T00:00:00Z");
const hour = 3_600_000;
let as: TestAuthorizationServer;

beforeAll(async () => {
  as = await startAuthorizationServer();
});

afterEach(() => as.fault(undefined));

afterAll(() => as.close());

/** A client whose clock a test moves. */
function setUp() {
  let time = start;
  const before = as.requests.length;
  const auth = createAuthClient({
    issuer: as.issuer,
    tokenEndpoint: as.tokenEndpoint,
    ...as.clients.basic,
    now: () => new Date(time),
  });
  return {
    auth,
    pass(ms: number) {
      time += ms;
    },
    requests: () => as.requests.length - before,
    fail: () => secrets.failure(auth.getToken()),
  };
}

describe.each([429, 503])("after HTTP %i the next request is made", (status) => {
  test.each([
    { header: "7", notBefore: 6900, after: 7100 },
    { header: " 7 ", notBefore: 6900, after: 7100 },
    { header: "Thu, 01 Jan 2026 00:01:00 GMT", notBefore: 59_000, after: 61_000 },
    { header: "Thu, 01 Jan 2026 01:00:00 GMT", notBefore: 299_000, after: 301_000 },
    { header: "1000000000", notBefore: 299_000, after: 301_000 },
    { header: "9".repeat(400), notBefore: 299_000, after: 301_000 },
    // those that say nothing: the backoff, 1 s ± 20 %
    { header: "0", notBefore: 700, after: 1300 },
    { header: "1e9", notBefore: 700, after: 1300 },
    { header: "-5", notBefore: 700, after: 1300 },
    { header: "soon", notBefore: 700, after: 1300 },
    { header: "Wed, 31 Dec 2025 00:00:00 GMT", notBefore: 700, after: 1300 },
    { header: undefined, notBefore: 700, after: 1300 },
  ])("not before Retry-After: $header", async ({ header, notBefore, after }) => {
    as.fault({
      type: "status",
      status,
      headers: header === undefined ? {} : { "retry-after": header },
    });
    const { auth, fail, pass, requests } = setUp();
    const failure = {
      name: "AuthClientError",
      code: "http_error",
      status,
      message: `the token endpoint ${as.tokenEndpoint} answered HTTP ${status}`,
    };
    expect(await fail()).toMatchObject(failure);
    pass(notBefore);
    expect(await fail()).toMatchObject(failure);
    expect(requests()).toBe(1);
    pass(after - notBefore);
    as.fault(undefined);
    expect((await auth.getToken()).token_type).toBe("Bearer");
    expect(requests()).toBe(2);
  });
});

test("the backoff grows with each failure, and ends with a success", async () => {
  as.fault({ type: "status", status: 500 });
  const { auth, fail, pass, requests } = setUp();
  for (const [i, seconds] of [1, 1.6, 2.56, 4.096].entries()) {
    await fail();
    pass(seconds * 750);
    await fail();
    expect(requests()).toBe(i + 1);
    pass(seconds * 500);
  }
  as.fault(undefined);
  await auth.getToken();
  as.fault({ type: "status", status: 500 });
  const force = () => secrets.failure(auth.getToken({ forceRefresh: true }));
  await force();
  const before = requests();
  pass(1300);
  await force();
  expect(requests()).toBe(before + 1);
});

test("what will not change is not hammered either", async () => {
  as.fault({ type: "status", status: 400, body: '{"error":"unauthorized_client"}' });
  const { fail, requests } = setUp();
  for (let i = 0; i < 20; i++) {
    expect(await fail()).toMatchObject({ code: "unauthorized_client", status: 400 });
  }
  expect(requests()).toBe(1);
});

test("a token that is valid is served while no other comes", async () => {
  const { auth, fail, pass, requests } = setUp();
  const token = await auth.getToken();
  as.fault({ type: "status", status: 503 });
  // 15 s before its end
  pass(285_000);
  expect(await auth.getToken()).toEqual(token);
  expect(await auth.getToken()).toEqual(token);
  expect(requests()).toBe(2);
  pass(16_000);
  expect(await fail()).toMatchObject({ code: "http_error", status: 503 });
});

describe("the clock jumps", () => {
  test("an hour ahead: the token has expired, and another comes", async () => {
    const { auth, pass, requests } = setUp();
    const { access_token } = await auth.getToken();
    pass(hour);
    const next = await auth.getToken();
    expect(next.access_token).not.toBe(access_token);
    expect(next.expires_at).toBe((start + hour) / 1000 + 300);
    await auth.getToken();
    expect(requests()).toBe(2);
  });

  test("an hour back: the token lives no longer for that", async () => {
    const { auth, pass, requests } = setUp();
    await auth.getToken();
    pass(-hour);
    await auth.getToken();
    expect(requests()).toBe(1);
    // back again, and over its end
    pass(hour + 301_000);
    await auth.getToken();
    expect(requests()).toBe(2);
  });

  test("back, and the next token is kept", async () => {
    const { auth, pass, requests } = setUp();
    pass(-hour);
    await auth.getToken();
    await auth.getToken();
    expect(requests()).toBe(1);
  });

  test("an hour back while a token is asked for: it lives no longer for that", async () => {
    const { auth, pass, requests } = setUp();
    let release = () => {};
    as.fault({ type: "held", until: new Promise<void>((resolve) => (release = resolve)) });
    const asked = auth.getToken();
    pass(-hour);
    release();
    const token = await asked;
    expect(token.expires_at).toBe((start - hour) / 1000 + 300);
    as.fault(undefined);
    pass(hour + 301_000);
    expect((await auth.getToken()).access_token).not.toBe(token.access_token);
    expect(requests()).toBe(2);
  });
});
