import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createJwtAuthInterceptor } from "../../src/server/index.js";
import { type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, keySetOf, tokenBy } from "../support/key-sets.js";
import { authorization, secretsIn } from "./authorization.js";
import { headerText } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import { anyToken, type TokenSigner } from "./tokens.js";
import { json, unlike } from "./values.js";

const key = createIssuerKey("1");
const second = createIssuerKey("2");
const foreign = createIssuerKey("1");
const { publicKey: rsa } = generateKeyPairSync("rsa", { modulusLength: 2048 });

let server: KeyServer;
let elsewhere: KeyServer;
beforeAll(async () => {
  server = await startKeyServer();
  elsewhere = await startKeyServer();
  elsewhere.answerWith(keySetOf(key));
});
afterAll(async () => {
  await server.close();
  await elsewhere.close();
});

describe("a key set", () => {
  test("verifies the tokens of its keys, and is not asked again for others", async () => {
    server.requests.length = 0;
    server.answerWith({
      keys: [key.jwk, second.jwk, { ...rsa.export({ format: "jwk" }), kid: "3" }],
    });
    const [issuer, audience] = ["https://issuer.test", "https://api.test"];
    const interceptor = createJwtAuthInterceptor({
      jwksUri: `${server.baseUrl}/jwks`,
      issuer,
      audience,
      cache: { ttl: 60_000, maxSize: 20 },
    });
    const signer: TokenSigner = {
      alg: "ES256",
      key: key.privateKey,
      header: { kid: "1" },
      issuer,
      audience,
      strictMembers: ["kid"],
      publicTexts: [JSON.stringify(key.jwk), JSON.stringify(keySetOf(key, second))],
    };
    const tally = createTally();
    // no time passes, so the keys are always those that were just fetched
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    try {
      const inputs = inputsOf("tokens by a key set");
      await hold(inputs, authorization(anyToken(signer)), async ({ value, subject, secrets }) => {
        tally.count(subject);
        const outcome = await sendCall(interceptor, { header: { authorization: value } });
        expect(problemsOf(outcome, { subject, secrets })).toEqual([]);
      });
    } finally {
      vi.useRealTimers();
    }
    tally.check();
    expect(server.requests).toEqual(["/jwks"]);
  });

  test("that is answered in another way verifies nothing", async () => {
    const tally = createTally();
    const good = tokenBy(key, { kid: "1" });
    const forged = tokenBy(foreign, { kid: "1" });
    await hold(inputsOf("answers for keys"), answer, async ({ status, headers, body, isGood }) => {
      server.answerWith((res) => res.writeHead(status, headers).end(body));
      const subject = isGood ? "alice" : undefined;
      tally.count(subject);
      // of its own: the keys of an answer stay where the next one is none
      const interceptor = createJwtAuthInterceptor({ jwksUri: `${server.baseUrl}/jwks` });
      const send = (token: string) =>
        sendCall(interceptor, { header: { authorization: `Bearer ${token}` } });
      const secrets = secretsIn(good, forged);
      expect(problemsOf(await send(good), { subject, secrets })).toEqual([]);
      expect(problemsOf(await send(forged), { subject: undefined, secrets })).toEqual([]);
    });
    tally.check();
  });
});

interface KeyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whether the key is in it, once. */
  readonly isGood: boolean;
}

/** Entries that no token of ours is verified with. */
const junk = fc.oneof(
  json,
  fc.constant(second.jwk),
  fc.dictionary(
    fc.constantFrom("kty", "crv", "x", "y", "n", "e", "k", "d", "use", "alg", "key_ops", "x5c"),
    fc.oneof(json, fc.constantFrom<unknown>(...Object.values(key.jwk), "RSA", "oct", "sig")),
  ),
  json.map((kid) => ({ ...key.jwk, kid: kid === "1" ? "" : kid })),
);
/** The key with a member that makes it another one. */
const spoilt = fc
  .oneof(
    unlike((kty) => kty === "EC", undefined, "RSA", "oct").map((kty) => ({ kty })),
    unlike((crv) => crv === "P-256", undefined, "P-384").map((crv) => ({ crv })),
    fc.constantFrom({ x: foreign.jwk.x }, { y: key.jwk.x }, { x: 7 }, { use: "enc" }),
    fc.constantFrom({ alg: "RS256" }, { key_ops: ["sign"] }, { kid: undefined }, { kid: 1 }),
  )
  .map((member) => ({ ...key.jwk, ...member }));

const list = fc.array(junk, { maxLength: 3 });
const goodSet = fc
  .tuple(list, list)
  .map(([before, after]) => JSON.stringify({ keys: [...before, key.jwk, ...after] }));
const badSet = fc.oneof(
  list.map((keys) => JSON.stringify({ keys })),
  fc.tuple(list, spoilt).map(([keys, wrong]) => JSON.stringify({ keys: [...keys, wrong] })),
  list.map((keys) => JSON.stringify({ keys: [key.jwk, ...keys, key.jwk] })),
  goodSet.map((text) => text.slice(0, -1)),
  goodSet.map((text) => text.replace('"keys"', '"key"')),
  goodSet.map((text) => `[${text}]`),
  goodSet.map((text) => text.padEnd(51_201)),
  headerText,
  fc.constantFrom("", "null", '{"keys":{}}', `{"keys":${"[".repeat(9000)}${"]".repeat(9000)}}`),
);
const contentType = fc.constantFrom("application/json", "application/jwk-set+json", "text/html");
const answer: fc.Arbitrary<KeyAnswer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      status: fc.constant(200),
      headers: contentType.map((type) => ({ "content-type": type })),
      body: goodSet,
      isGood: fc.constant(true),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      status: fc.constant(200),
      headers: contentType.map((type) => ({ "content-type": type })),
      body: badSet,
      isGood: fc.constant(false),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      status: fc.constantFrom(201, 204, 301, 307, 304, 400, 404, 429, 500, 503),
      headers: fc.constant({ "content-type": "application/json", "retry-after": "1" }),
      body: goodSet,
      isGood: fc.constant(false),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      status: fc.constantFrom(301, 302, 303, 307, 308),
      headers: fc.constant(null).map(() => ({ location: `${elsewhere.baseUrl}/jwks` })),
      body: goodSet,
      isGood: fc.constant(false),
    }),
  },
);
