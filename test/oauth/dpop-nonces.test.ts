import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDpopNonces } from "../../src/oauth/dpop-nonces.js";
import { createAuthClient, createAuthFetch } from "../../src/oauth/index.js";

const url = "https://api.test/orders";

/** Asks for a nonce beside the first request, and tells when it has to wait no more. */
function waitFor(nonces: ReturnType<typeof createDpopNonces>) {
  const seen: (string | undefined)[] = [];
  Promise.resolve(nonces.get(url)).then((nonce) => seen.push(nonce));
  return seen;
}

describe("requests beside the first one", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("wait for the nonce in its answer", async () => {
    const nonces = createDpopNonces();
    expect(nonces.get(url)).toBeUndefined();
    const seen = waitFor(nonces);
    await vi.advanceTimersByTimeAsync(299);
    expect(seen).toEqual([]);
    nonces.note(url, "nonce");
    await vi.advanceTimersByTimeAsync(0);
    expect(seen).toEqual(["nonce"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("wait for 300 ms at most", async () => {
    const nonces = createDpopNonces();
    nonces.get(url);
    const seen = waitFor(nonces);
    await vi.advanceTimersByTimeAsync(299);
    expect(seen).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen).toEqual([undefined]);
  });

  test("do not wait when it gets no answer from the token endpoint", async () => {
    const asked = vi.fn(async () => {
      throw new Error("down");
    });
    const auth = createAuthClient({
      issuer: "https://as.test",
      tokenEndpoint: "https://as.test/token",
      clientId: "a",
      clientSecret: "b",
      dpop: true,
      fetch: asked,
    });
    const failures = ["read", "write"].map((scope) =>
      auth.getToken({ scope }).catch((error: unknown) => error),
    );
    for (const failure of await Promise.all(failures)) {
      expect(failure).toMatchObject({
        code: "network_error",
        message: "no answer from https://as.test/token",
      });
    }
    expect(asked).toHaveBeenCalledTimes(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("do not wait when it gets no answer from the API", async () => {
    const auth = createAuthClient({
      issuer: "https://as.test",
      tokenEndpoint: "https://as.test/token",
      clientId: "a",
      clientSecret: "b",
      dpop: true,
      fetch: async () => Response.json({ access_token: "token", token_type: "DPoP" }),
    });
    const asked = vi.fn(async () => {
      throw new Error("down");
    });
    const api = createAuthFetch(auth, { baseUrl: "https://api.test", fetch: asked });
    const failures = ["/1", "/2"].map((path) => api(path).catch((error: unknown) => error));
    for (const failure of await Promise.all(failures)) {
      expect(failure).toMatchObject({ message: "down" });
    }
    expect(asked).toHaveBeenCalledTimes(2);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("the process does not end while a request waits", () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const nonces = createDpopNonces();
  nonces.get(url);
  expect(timers()).toBe(before + 1);
  nonces.note(url, null);
  expect(timers()).toBe(before);
});
