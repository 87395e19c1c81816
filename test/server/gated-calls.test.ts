import type { DescMethod } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { AnsweredCall } from "../../src/server/authenticate.js";
import { createGatedCalls } from "../../src/server/gated-calls.js";
import type { Admission } from "../../src/server/gatekeeper.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { incomingCall } from "../support/incoming-call.js";

const { whoAmI, deleteUser } = UserService.method;
const judged = {
  authorization: "Bearer token",
  dpop: "proof",
  cookie: "session=1",
  "x-api-key": "key",
  origin: "https://app.test",
};

function admissionOf(header: HeadersInit, method: DescMethod = whoAmI): Admission {
  return {
    identity: undefined,
    identityHeader: undefined,
    call: new AnsweredCall(incomingCall(header, method)),
  };
}

describe("a call that passed the gate", () => {
  const gatedCalls = createGatedCalls(["x-gateway-secret"]);
  const admission = admissionOf(judged);
  const passed = incomingCall(judged);
  const within = <T>(fn: () => T): T => gatedCalls.run(passed, admission, fn);

  test("is known again, once", () => {
    within(() => {
      expect(gatedCalls.has(incomingCall(judged))).toBe(true);
      expect(gatedCalls.changedIn(incomingCall(judged))).toEqual([]);
      expect(gatedCalls.take(incomingCall(judged))).toBe(admission);
      expect(gatedCalls.has(incomingCall(judged))).toBe(false);
      expect(gatedCalls.take(incomingCall(judged))).toBeUndefined();
    });
  });

  test("is known again later, and in what was started meanwhile", async () => {
    const taken = await within(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return Promise.resolve().then(() => gatedCalls.take(passed));
    });
    expect(taken).toBe(admission);
  });

  test("is known again with a header that was added on the way", () => {
    const call = incomingCall({ ...judged, "x-request-id": "1" });
    expect(within(() => gatedCalls.take(call))).toBe(admission);
  });

  const { dpop: _dpop, ...withoutProof } = judged;
  const { "x-api-key": _key, ...withoutKey } = judged;
  const { origin: _origin, ...withoutOrigin } = judged;
  test.each([
    { name: "another method", call: incomingCall(judged, deleteUser), changed: [] },
    {
      name: "another HTTP method",
      call: { ...incomingCall(judged), requestMethod: "GET" },
      changed: [],
    },
    {
      name: "another token",
      call: incomingCall({ ...judged, authorization: "Bearer other" }),
      changed: ["authorization"],
    },
    { name: "no proof", call: incomingCall(withoutProof), changed: ["dpop"] },
    {
      name: "another cookie",
      call: incomingCall({ ...judged, cookie: "session=2" }),
      changed: ["cookie"],
    },
    {
      name: "no key in a header of its own",
      call: incomingCall(withoutKey),
      changed: ["x-api-key"],
    },
    {
      name: "another origin",
      call: incomingCall({ ...judged, origin: "https://evil.test" }),
      changed: ["origin"],
    },
    { name: "no origin", call: incomingCall(withoutOrigin), changed: ["origin"] },
    {
      name: "an identity header more",
      call: incomingCall({ ...judged, "x-gateway-secret": "mesh" }),
      changed: ["x-gateway-secret"],
    },
    { name: "no header at all", call: incomingCall({}), changed: Object.keys(judged).sort() },
  ])("is not one with $name, and stays for the right one", ({ call, changed }) => {
    expect(gatedCalls.changedIn(call)).toEqual([]);
    within(() => {
      expect(gatedCalls.has(call)).toBe(false);
      expect(gatedCalls.changedIn(call)).toEqual(changed);
      expect(gatedCalls.take(call)).toBeUndefined();
      expect(gatedCalls.take(passed)).toBe(admission);
      expect(gatedCalls.changedIn(call)).toEqual([]);
    });
  });

  test("without credentials is not one with some", () => {
    for (const header of [
      { authorization: "Bearer token" },
      { dpop: "proof" },
      { cookie: "session=1" },
    ]) {
      const taken = gatedCalls.run(incomingCall({}), admissionOf({}), () =>
        gatedCalls.take(incomingCall(header)),
      );
      expect(taken).toBeUndefined();
    }
  });

  test("is not known outside, nor to the gate of another server", async () => {
    const others = createGatedCalls([]);
    await within(async () => expect(others.take(passed)).toBeUndefined());
    expect(gatedCalls.take(passed)).toBeUndefined();
  });

  test("is not mixed up with those beside it", async () => {
    const tokens = Array.from({ length: 50 }, (_, n) => `Bearer ${n}`);
    const taken = await Promise.all(
      tokens.map((authorization) => {
        const own = admissionOf({ authorization });
        return gatedCalls.run(incomingCall({ authorization }), own, async () => {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
          const others = tokens.filter((other) => other !== authorization);
          for (const other of others) {
            expect(gatedCalls.take(incomingCall({ authorization: other }))).toBeUndefined();
          }
          return gatedCalls.take(incomingCall({ authorization })) === own;
        });
      }),
    );
    expect(taken).toEqual(tokens.map(() => true));
  });
});
