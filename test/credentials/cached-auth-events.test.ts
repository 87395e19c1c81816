import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Auth, type AuthEvent, cachedAuth } from "../../src/index.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import { createUserApi } from "../support/user-api.js";

const start = new Date("2026-01-01T00:00:00Z").getTime();
const second = 1000;
const minute = 60 * second;

beforeEach(() => useFakeTime(start));
afterEach(useRealTime);

/** A token that takes 200 ms to come and lives for a minute from then on. */
function slowProvider() {
  let n = 0;
  return vi.fn(async (): Promise<Auth> => {
    const token = `s3cr3t-${++n}`;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return Auth.bearer(token, { expiresAt: new Date(Date.now() + minute) });
  });
}

/** Fails at each stage once: first token, renewal, failure, refusal. */
async function liveThrough(onEvent: (event: AuthEvent) => void) {
  const provide = slowProvider();
  const api = createUserApi();
  const client = api.clientWith(cachedAuth(provide, { onEvent }));
  const calls = async () => {
    const all = Promise.all(Array.from({ length: 5 }, () => client.whoAmI({})));
    await vi.advanceTimersByTimeAsync(200);
    await all;
  };
  await calls();
  vi.advanceTimersByTime(20 * second);
  await calls();
  vi.advanceTimersByTime(20 * second);
  provide.mockRejectedValueOnce(new ConnectError("down", Code.Unavailable));
  await calls();
  // the backoff ends
  vi.advanceTimersByTime(2 * second);
  api.revoked.add("Bearer s3cr3t-2");
  const refused = client.deleteUser({});
  await vi.advanceTimersByTimeAsync(200);
  await refused;
  return { api, provide };
}

describe("onEvent", () => {
  test("is told of each thing once", async () => {
    const events: AuthEvent[] = [];
    await liveThrough((event) => events.push(event));
    expect(events).toEqual([
      { type: "token_acquired", durationMs: 200, expiresAt: new Date(start + 200 + minute) },
      {
        type: "token_refreshed",
        durationMs: 200,
        expiresAt: new Date(start + 20_400 + minute),
      },
      { type: "token_failed", durationMs: 0, error: expect.objectContaining({ sent: false }) },
      { type: "token_refused", error: "invalid_token" },
      {
        type: "token_refreshed",
        durationMs: 200,
        expiresAt: expect.any(Date),
      },
      { type: "retry", method: "acme.user.v1.UserService/DeleteUser" },
    ]);
    expect(events[2]).toMatchObject({
      error: {
        name: "AuthError",
        code: "credentials_unavailable",
        message: "the credential could not be obtained",
      },
    });
  });

  test("is shown no secret", async () => {
    const events: AuthEvent[] = [];
    await liveThrough((event) => events.push(event));
    const invalid = cachedAuth(() => Auth.bearer("s3cr3t\n"), { onEvent: (e) => events.push(e) });
    await expect(createUserApi().clientWith(invalid).whoAmI({})).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
    expect(events).toHaveLength(7);
    expect(inspect(events, { depth: 10, showHidden: true })).not.toContain("s3cr3t");
    expect(JSON.stringify(events)).not.toContain("s3cr3t");
  });

  test("breaks nothing when it throws", async () => {
    const onEvent = vi.fn(() => {
      throw new Error("no disk");
    });
    const { api, provide } = await liveThrough(onEvent);
    expect(onEvent).toHaveBeenCalledTimes(6);
    expect(provide).toHaveBeenCalledTimes(4);
    expect(api.arrived).toHaveLength(17);
  });

  test("is told of no retry where the token is still the same", async () => {
    const events: AuthEvent[] = [];
    const api = createUserApi();
    api.revoked.add("Bearer same");
    const client = api.clientWith(
      cachedAuth(() => Auth.bearer("same"), { onEvent: (event) => events.push(event) }),
    );
    await expect(client.whoAmI({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(api.arrived).toEqual(["Bearer same"]);
    expect(events.map(({ type }) => type)).toEqual([
      "token_acquired",
      "token_refused",
      "token_refreshed",
    ]);
  });
});
