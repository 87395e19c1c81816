import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createIntrospectionAuthInterceptor,
  type IntrospectionAuthInterceptorOptions,
} from "../../src/server/index.js";
import { authorization } from "./authorization.js";
import { changed, headerText } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import type { Credential } from "./tokens.js";
import { json, unlike } from "./values.js";

const clientSecret = randomBytes(24).toString("base64url");
const token = randomBytes(24).toString("base64url");
const later = Math.floor(Date.now() / 1000) + 36_000;
const issuer = "https://issuer.test";

function create(fetch: NonNullable<IntrospectionAuthInterceptorOptions["fetch"]>) {
  return createIntrospectionAuthInterceptor({
    introspectionEndpoint: `${issuer}/introspect`,
    issuer,
    clientId: "orders",
    clientSecret,
    fetch,
  });
}

type Members = Readonly<Record<string, unknown>>;

const active = { active: true, sub: "alice", aud: "orders" };
const goodAnswer: fc.Arbitrary<Members> = fc
  .record({
    own: fc.constantFrom<Members>(
      {},
      { exp: later, iss: issuer },
      { aud: ["x", "orders"], nbf: 0, iat: 0 },
      { token_type: "Bearer" },
      { token_type: "urn:ietf:params:oauth:token-type:access_token", typ: "Bearer" },
    ),
    more: fc.dictionary(
      fc.constantFrom("name", "roles", "scope", "jti", "client_id", "username", "__proto__", "x"),
      json,
      { maxKeys: 3 },
    ),
  })
  .map(({ own, more }) => ({ ...more, ...active, ...own }));

const isNothing = (value: unknown) => value === undefined;
/** One member that makes an answer one about a token that is not to be accepted. */
const badMember: fc.Arbitrary<Members> = fc.oneof(
  unlike((value) => value === true, undefined, "true", 1, [true], {}).map((value) => ({
    active: value,
  })),
  unlike((aud) => [aud].flat().includes("orders"), undefined, "orders2", "order", [["orders"]]).map(
    (aud) => ({ aud }),
  ),
  unlike((sub) => typeof sub === "string" && sub.trim() !== "", "", " ", ["a"], null).map(
    (sub) => ({
      sub,
    }),
  ),
  unlike((iss) => iss === issuer || isNothing(iss), `${issuer}/`, [issuer]).map((iss) => ({ iss })),
  fc
    .tuple(
      fc.constantFrom("exp", "nbf", "iat"),
      unlike((time) => typeof time === "number" || isNothing(time), `${later}`),
    )
    .map(([name, value]) => ({ [name]: value })),
  fc.constantFrom<Members>(
    { exp: 0 },
    { exp: -later },
    { exp: 1e300 },
    { nbf: later },
    { iat: later },
  ),
  unlike(isNothing, "refresh_token", "DPoP", "Basic", "N_A").map((value) => ({
    token_type: value === "Bearer" ? "x" : value,
  })),
  fc.constantFrom<Members>({ token_use: "refresh" }, { typ: "Offline" }, { typ: 7 }, { typ: "ID" }),
  unlike(isNothing, null, { jkt: "x" }).map((cnf) => ({ cnf })),
);

/** What an endpoint says, and whether the token may be accepted for it. */
interface Answer {
  respond(): Response | Promise<Response>;
  readonly isGood: boolean;
}

const contentType = fc.constantFrom("application/json", "text/html", "application/jwt", "", "x");
const answered = (
  text: fc.Arbitrary<string>,
  status: fc.Arbitrary<number>,
  isGood: boolean,
): fc.Arbitrary<Answer> =>
  fc.record({ text, status, contentType }).map(({ text, status, contentType }) => ({
    respond: () =>
      new Response([204, 205, 304].includes(status) ? null : text, {
        status,
        headers: { "content-type": contentType, "retry-after": text.slice(0, 3).trim() && "1" },
      }),
    isGood,
  }));
const ok = fc.constantFrom(200, 200, 200, 201);
const notOk = fc.oneof(
  fc.constantFrom(204, 205, 301, 302, 307, 304, 400, 401, 403, 404, 429, 500, 502, 503),
  fc.integer({ min: 300, max: 599 }),
);
const goodText = goodAnswer.map((members) => JSON.stringify(members));

const fault = fc.oneof(
  fc.constantFrom<() => unknown>(
    () => new TypeError(`fetch failed: token=${token}`),
    () => new TypeError("fetch failed", { cause: { code: "ECONNREFUSED", body: token } }),
    () => new DOMException("timed out", "TimeoutError"),
    () => token,
    () => undefined,
    () => null,
    () => ({ message: clientSecret }),
  ),
);

const answer: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 4, arbitrary: answered(goodText, ok, true) },
  {
    weight: 6,
    arbitrary: answered(
      fc.tuple(goodAnswer, badMember).map(([good, bad]) => JSON.stringify({ ...good, ...bad })),
      ok,
      false,
    ),
  },
  { weight: 2, arbitrary: answered(goodText, notOk, false) },
  // cut off, no JSON, no object, too long, too deep
  {
    weight: 2,
    arbitrary: answered(
      goodText.map((text) => text.slice(0, -1)),
      ok,
      false,
    ),
  },
  { weight: 2, arbitrary: answered(fc.oneof(headerText, fc.json()), ok, false) },
  {
    weight: 1,
    arbitrary: answered(
      goodText.map((text) => `[${text}]`),
      ok,
      false,
    ),
  },
  {
    weight: 1,
    arbitrary: answered(
      fc.constantFrom(
        `{"active":true,"sub":"alice","aud":"orders","x":"${"x".repeat(300_000)}"}`,
        `{"active":true,"sub":"alice","aud":"orders","x":${"[".repeat(9e4)}${"]".repeat(9e4)}}`,
        `<html>${token}</html>`,
      ),
      ok,
      false,
    ),
  },
  {
    weight: 2,
    arbitrary: fault.map((thrown) => ({
      respond: () => Promise.reject(thrown()),
      isGood: false,
    })),
  },
  {
    weight: 1,
    arbitrary: fault.map((thrown) => ({
      respond: () =>
        new Response(new ReadableStream({ pull: (controller) => controller.error(thrown()) })),
      isGood: false,
    })),
  },
);

describe("introspection", () => {
  test("accepts a token for no answer but the right one", async () => {
    const tally = createTally();
    await hold(inputsOf("introspection answers", 2), answer, async ({ respond, isGood }) => {
      const subject = isGood ? "alice" : undefined;
      tally.count(subject);
      // of its own: a failing endpoint is left alone for a while
      const interceptor = create(async () => respond());
      const header = { authorization: `Bearer ${token}` };
      const outcome = await sendCall(interceptor, { header });
      expect(problemsOf(outcome, { subject, secrets: [token, clientSecret] })).toEqual([]);
    });
    tally.check();
  });

  test("accepts no other token than the one that was asked about", async () => {
    const asked: string[] = [];
    const interceptor = create(async (_url, init) => {
      const shown = new URLSearchParams(String(init?.body)).get("token") ?? "";
      asked.push(shown);
      return Response.json(shown === token ? active : { active: false });
    });
    const good = new Map([[token, "alice"]]);
    const credential = fc
      .oneof(
        { weight: 2, arbitrary: fc.constant(token) },
        { weight: 3, arbitrary: changed(token) },
        { weight: 1, arbitrary: headerText },
      )
      .map((text): Credential => ({ text, good }));
    const tally = createTally();
    const inputs = inputsOf("introspection answers", 2);
    await hold(inputs, authorization(credential), async ({ value, subject, secrets }) => {
      tally.count(subject);
      const outcome = await sendCall(interceptor, { header: { authorization: value } });
      const shown = [...secrets, clientSecret];
      expect(problemsOf(outcome, { subject, secrets: shown })).toEqual([]);
    });
    tally.check();
    // what is no token is not worth a request, and the good one was remembered
    expect(asked.filter((text) => !/^[\w\-.~+/]+=*$/.test(text))).toEqual([]);
    expect(asked.filter((text) => text === token)).toHaveLength(1);
  });
});
