import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createJwtAuthInterceptor } from "../../src/server/index.js";
import { incomingCall } from "../support/incoming-call.js";

const first = await generateKeyPair("ES256", { extractable: true });
const second = await generateKeyPair("ES256", { extractable: true });

async function keySet(...pairs: [string, typeof first][]): Promise<string> {
  const keys = pairs.map(async ([kid, { publicKey }]) => ({
    ...(await exportJWK(publicKey)),
    kid,
  }));
  return JSON.stringify({ keys: await Promise.all(keys) });
}

const firstOnly = await keySet(["1", first]);
const both = await keySet(["1", first], ["2", second]);

let fetches = 0;
let respond: (res: ServerResponse) => void;
const endpoint = createServer((_, res) => {
  fetches += 1;
  respond(res);
});

beforeEach(async () => {
  fetches = 0;
  vi.useFakeTimers({ toFake: ["Date"] });
  await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  vi.useRealTimers();
  endpoint.closeAllConnections();
  await new Promise((resolve) => endpoint.close(resolve));
});

function serve(body: string, status = 200, headers: Record<string, string> = {}) {
  respond = (res) => res.writeHead(status, headers).end(body);
}

function interceptor() {
  const { port } = endpoint.address() as AddressInfo;
  return createJwtAuthInterceptor({ jwksUri: `http://127.0.0.1:${port}/jwks` });
}

async function token(kid: string, pair = first): Promise<string> {
  return new SignJWT({ sub: "alice" })
    .setProtectedHeader({ alg: "ES256", kid })
    .setExpirationTime(Math.floor(Date.now() / 1000) + 60)
    .sign(pair.privateKey);
}

/** `ok`, or the code of the refusal. */
async function outcome(auth: ReturnType<typeof interceptor>, bearer: string): Promise<string> {
  try {
    await auth.authenticate(incomingCall({ authorization: `Bearer ${bearer}` }));
    return "ok";
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
}

const minuteMs = 60_000;

describe("a key set", () => {
  test("is fetched once for many tokens", async () => {
    serve(firstOnly);
    const auth = interceptor();
    const tokens = await Promise.all(Array.from({ length: 50 }, () => token("1")));
    expect(new Set(await Promise.all(tokens.map((t) => outcome(auth, t))))).toEqual(
      new Set(["ok"]),
    );
    expect(fetches).toBe(1);
  });

  test("is fetched once more for a thousand unknown keys", async () => {
    serve(firstOnly);
    const auth = interceptor();
    expect(await outcome(auth, await token("1"))).toBe("ok");
    vi.setSystemTime(Date.now() + minuteMs);
    for (let i = 0; i < 1000; i++) {
      expect(await outcome(auth, await token(`unknown-${i}`))).toBe("Unauthenticated");
    }
    expect(fetches).toBe(2);
    expect(await outcome(auth, await token("1"))).toBe("ok");
  });

  test("that rotates is found by the new key", async () => {
    serve(firstOnly);
    const auth = interceptor();
    expect(await outcome(auth, await token("1"))).toBe("ok");
    serve(both);
    vi.setSystemTime(Date.now() + minuteMs);
    expect(await outcome(auth, await token("2", second))).toBe("ok");
    expect(await outcome(auth, await token("1"))).toBe("ok");
    expect(fetches).toBe(2);
  });

  test.each<{ name: string; body: string; status?: number; headers?: Record<string, string> }>([
    { name: "a server error", body: "no", status: 500 },
    { name: "HTML", body: "<html></html>" },
    { name: "an empty set", body: '{"keys":[]}' },
    { name: "null", body: "null" },
    { name: "a set of what are no keys", body: '{"keys":["x"]}' },
    { name: "a set of nulls", body: '{"keys":[null]}' },
    { name: "a set without public keys", body: '{"keys":[{"kty":"oct","k":"eA"},{}]}' },
    { name: "a set of more than 50 KiB", body: `{"keys":[{"x":"${"x".repeat(51 * 1024)}"}]}` },
    { name: "a redirect", body: "", status: 302, headers: { location: "http://127.0.0.1:1/" } },
  ])("that becomes $name leaves the known keys working", async ({ body, status, headers }) => {
    serve(body, status, headers);
    const fresh = interceptor();
    expect(await outcome(fresh, await token("1"))).toBe("Unavailable");

    serve(firstOnly);
    const auth = interceptor();
    expect(await outcome(auth, await token("1"))).toBe("ok");
    serve(body, status, headers);
    for (let hour = 0; hour < 3; hour++) {
      vi.setSystemTime(Date.now() + 60 * minuteMs);
      expect(await outcome(auth, await token("1"))).toBe("ok");
      expect(await outcome(auth, await token("2", second))).toBe("Unavailable");
    }
  });

  test("is asked for again only after a backoff, and then works", async () => {
    serve("no", 503);
    const auth = interceptor();
    for (let i = 0; i < 20; i++) {
      expect(await outcome(auth, await token("1"))).toBe("Unavailable");
    }
    expect(fetches).toBe(1);
    serve(firstOnly);
    vi.setSystemTime(Date.now() + 2_000);
    expect(await outcome(auth, await token("1"))).toBe("ok");
    expect(fetches).toBe(2);
  });

  test("that is malformed is asked for once, not for every token", async () => {
    serve('{"keys":["x"]}');
    const auth = interceptor();
    for (let i = 0; i < 20; i++) {
      expect(await outcome(auth, await token("1"))).toBe("Unavailable");
    }
    expect(fetches).toBe(1);
  });

  test("shows no query of its URL, which may hold a key", async () => {
    serve("no", 500);
    const { port } = endpoint.address() as AddressInfo;
    const auth = createJwtAuthInterceptor({ jwksUri: `http://127.0.0.1:${port}/jwks?key=s3cr3t` });
    const error = await auth
      .authenticate(incomingCall({ authorization: `Bearer ${await token("1")}` }))
      .catch(ConnectError.from);
    expect(error).toMatchObject({
      cause: new Error(`http://127.0.0.1:${port}/jwks: status 500`),
    });
    expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
  });

  test("that cannot be reached is Unavailable", async () => {
    serve(firstOnly);
    const auth = interceptor();
    const bearer = await token("1");
    endpoint.closeAllConnections();
    await new Promise((resolve) => endpoint.close(resolve));
    expect(await outcome(auth, bearer)).toBe("Unavailable");
    await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve));
  });

  test.each(["../../etc/passwd", "' OR 1=1 --", "x".repeat(4096), "__proto__"])(
    "finds no key for the kid %j",
    async (kid) => {
      serve(firstOnly);
      const auth = interceptor();
      expect(await outcome(auth, await token("1"))).toBe("ok");
      expect(await outcome(auth, await token(kid))).toBe("Unauthenticated");
      expect(fetches).toBe(1);
    },
  );

  test("asks no URL that a token names", async () => {
    serve(firstOnly);
    const auth = interceptor();
    const { port } = endpoint.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/other`;
    const forged = await new SignJWT({ sub: "mallory" })
      .setProtectedHeader({
        alg: "ES256",
        kid: "1",
        jku: url,
        x5u: url,
        jwk: await exportJWK(second.publicKey),
      })
      .setExpirationTime("1 min")
      .sign(second.privateKey);
    expect(await outcome(auth, forged)).toBe("Unauthenticated");
    expect(fetches).toBe(1);
  });
});
