import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { type AuthContext, getAuthContext, requireAuthContext } from "../../src/server/index.js";
import { createMockAuthContext, withAuthContext } from "../../src/testing/index.js";

const alice = createMockAuthContext({ subject: "alice" });
const bob = createMockAuthContext({ subject: "bob" });

const whoAmI = () => requireAuthContext().subject;

describe("withAuthContext", () => {
  test("runs a function as the caller, and returns what it returns", () => {
    expect(withAuthContext(alice, whoAmI)).toBe("alice");
    expect(withAuthContext(alice, getAuthContext)).toBe(alice);
  });

  test("runs an async function as the caller, to its end", async () => {
    const subject: Promise<string> = withAuthContext(alice, async () => {
      await sleep(0);
      return whoAmI();
    });
    expect(await subject).toBe("alice");
  });

  test("keeps callers apart that run at once", async () => {
    const slowly = async () => {
      await sleep(0);
      return whoAmI();
    };
    const both = [withAuthContext(alice, slowly), withAuthContext(bob, slowly)];
    expect(await Promise.all(both)).toEqual(["alice", "bob"]);
  });

  test("leaves nothing behind", () => {
    withAuthContext(alice, () => withAuthContext(bob, whoAmI));
    expect(getAuthContext()).toBeUndefined();
  });

  test("runs a function as nobody within one that runs as somebody", () => {
    const seen = withAuthContext(alice, () => withAuthContext(undefined, getAuthContext));
    expect(seen).toBeUndefined();
  });

  test("serves messages of a stream that are read within", async () => {
    async function* names() {
      yield whoAmI();
      await sleep(0);
      yield whoAmI();
    }
    const read = await withAuthContext(alice, async () => {
      const all: string[] = [];
      for await (const name of names()) {
        all.push(name);
      }
      return all;
    });
    expect(read).toEqual(["alice", "alice"]);
  });

  test.each<{ name: string; context: AuthContext | undefined; fn: () => unknown }>([
    { name: "a function throws", context: undefined, fn: requireAuthContext },
    { name: "a promise fails", context: undefined, fn: async () => requireAuthContext() },
  ])("passes on what $name with", async ({ context, fn }) => {
    const error = await (async () => withAuthContext(context, fn))().catch((cause) => cause);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ code: Code.Unauthenticated, rawMessage: "missing credentials" });
  });
});
