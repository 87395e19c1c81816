import { createHash, generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import fc from "fast-check";
import { calculateJwkThumbprint, type JWK } from "jose";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createDpopNonces } from "../../src/server/dpop-nonces.js";
import { createJwtAuthInterceptor, createMemoryReplayStore } from "../../src/server/index.js";
import { segment, signature, signToken } from "../support/signed-tokens.js";
import { secretsIn } from "./authorization.js";
import { type Change, headerText, textChange, trimmed } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall, whoAmIUrl } from "./send-call.js";
import { createTally } from "./tally.js";
import { json, unlike } from "./values.js";

const nowSeconds = Math.floor(Date.now() / 1000);
// proofs are good or bad by the second
beforeAll(() => {
  vi.useFakeTimers({ now: nowSeconds * 1000, toFake: ["Date"] });
});
afterAll(() => {
  vi.useRealTimers();
});

interface ClientKey {
  readonly privateKey: KeyObject;
  readonly jwk: JWK;
  readonly jkt: string;
}

async function createClientKey(): Promise<ClientKey> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk: JWK = publicKey.export({ format: "jwk" });
  return { privateKey, jwk, jkt: await calculateJwkThumbprint(jwk) };
}

const secret = "a secret of at least thirty-two bytes!";
const nonceSecret = "another secret of at least 32 bytes!";
const mine = await createClientKey();
const other = await createClientKey();

function accessToken(claims: object): string {
  return signToken({
    header: { alg: "HS256" },
    alg: "HS256",
    key: Buffer.from(secret),
    payload: { sub: "alice", exp: nowSeconds + 3600, ...claims },
  });
}
const token = accessToken({ cnf: { jkt: mine.jkt } });
const ath = hash(token);
const unbound = accessToken({});
const otherTokens = [
  unbound,
  accessToken({ cnf: { jkt: other.jkt } }),
  accessToken({ cnf: { jkt: mine.jkt, "x5t#S256": "x" } }),
  accessToken({ cnf: { jkt: mine.jkt }, exp: nowSeconds - 60 }),
  `${token.slice(0, -2)}AA`,
];

type Members = Readonly<Record<string, unknown>>;

/** What differs from a good proof. */
interface Recipe {
  readonly header?: Members;
  readonly claims?: Members;
  /** Default: the key that the token is bound to. */
  readonly by?: ClientKey;
  /** What is done to the text. */
  readonly change?: Change;
  /** Whether the proof is good still, if its text is what it was. */
  readonly isGood: boolean;
}

const goodRecipe: fc.Arbitrary<Recipe> = fc
  .record({
    typ: fc.constantFrom("dpop+jwt", "DPoP+JWT", "application/dpop+jwt"),
    more: fc.dictionary(fc.constantFrom("kid", "jku", "x5c", "x", "__proto__"), json, {
      maxKeys: 2,
    }),
    htu: fc.constantFrom(
      whoAmIUrl,
      `${whoAmIUrl}?a=b#c`,
      whoAmIUrl.replace("https://api.test", "HTTPS://API.test:443"),
      whoAmIUrl.replace("WhoAmI", "%57ho%41m%49"),
      whoAmIUrl.replace("/acme", "/x/../acme"),
    ),
    iat: fc.constantFrom(nowSeconds - 59.999, nowSeconds - 59, nowSeconds, nowSeconds + 5),
    moreClaims: fc.dictionary(fc.constantFrom("sub", "iss", "aud", "x", "__proto__"), json, {
      maxKeys: 2,
    }),
  })
  .map(({ typ, more, htu, iat, moreClaims }) => ({
    header: { ...more, typ },
    claims: { ...moreClaims, htu, iat },
    isGood: true,
  }));

const badClaims: fc.Arbitrary<Members> = fc.oneof(
  unlike((htm) => htm === "POST", undefined, "post", "PUT", ["POST"]).map((htm) => ({ htm })),
  unlike(
    (htu) => htu === whoAmIUrl,
    undefined,
    `${whoAmIUrl}/`,
    whoAmIUrl.replace("https", "http"),
    whoAmIUrl.replace("api.test", "api.test.evil.test"),
    whoAmIUrl.replace("api.test", "api.test@evil.test"),
    whoAmIUrl.replace("api.test", "api.test:444"),
    whoAmIUrl.toLowerCase(),
    `${whoAmIUrl}%00`,
    "/acme.user.v1.UserService/WhoAmI",
    [whoAmIUrl],
  ).map((htu) => ({ htu })),
  unlike((iat) => typeof iat === "number", undefined, `${nowSeconds}`).map((iat) => ({ iat })),
  fc
    .oneof(
      fc.constantFrom(nowSeconds - 60, nowSeconds + 5.001, 0, -nowSeconds, 1e300),
      fc.double({ max: nowSeconds - 60, noNaN: true }),
      fc.double({ min: nowSeconds + 6, noNaN: true }),
    )
    .map((iat) => ({ iat })),
  unlike((jti) => typeof jti === "string", undefined, "", "x".repeat(257)).map((jti) => ({ jti })),
  fc.constantFrom("", "x".repeat(257)).map((jti) => ({ jti })),
  unlike((value) => value === ath, undefined, token, `${ath}=`, hash("")).map((value) => ({
    ath: value,
  })),
  fc.constantFrom({ exp: nowSeconds - 60 }, { nbf: nowSeconds + 60 }, { exp: "x" }),
);

/** Names of members that no public key has, and some that it has. */
const keyMembers = [
  "kty",
  "crv",
  "x",
  "y",
  "d",
  "k",
  "n",
  "e",
  "p",
  "use",
  "alg",
  "key_ops",
  "ext",
];
const badMembers: fc.Arbitrary<Members> = fc.oneof(
  unlike((alg) => alg === "ES256", undefined, "none", "HS256", "ES384", "EdDSA").map((alg) => ({
    alg,
  })),
  unlike(
    (typ) => typeof typ === "string" && /^(application\/)?dpop\+jwt$/i.test(typ),
    undefined,
    "JWT",
    "at+jwt",
    "dpop",
  ).map((typ) => ({ typ })),
  unlike(() => false, undefined, [mine.jwk], JSON.stringify(mine.jwk)).map((jwk) => ({ jwk })),
  fc
    .dictionary(fc.constantFrom(...keyMembers), fc.oneof(json, fc.constantFrom(...memberValues())))
    .filter(({ kty, crv, x, y }) => !isMine({ kty, crv, x, y }))
    .map((jwk) => ({ jwk })),
  fc
    .tuple(fc.constantFrom("d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"), json)
    .map(([name, value]) => ({ jwk: { ...mine.jwk, [name]: value } })),
  fc.constantFrom({ jwk: other.jwk }, { jwk: mine.privateKey.export({ format: "jwk" }) }),
  json.map((crit) => ({ crit })),
);

const recipe: fc.Arbitrary<Recipe> = fc.oneof(
  { weight: 4, arbitrary: goodRecipe },
  {
    weight: 4,
    arbitrary: fc.tuple(goodRecipe, textChange).map(([r, change]) => ({ ...r, change })),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(goodRecipe, badClaims)
      .map(([r, claims]) => ({ ...r, claims: { ...r.claims, ...claims }, isGood: false })),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(goodRecipe, badMembers)
      .map(([r, header]) => ({ ...r, header: { ...r.header, ...header }, isGood: false })),
  },
  // by another key, which the header has or has not
  {
    weight: 1,
    arbitrary: fc.tuple(goodRecipe, fc.boolean()).map(([r, isSaid]) => ({
      ...r,
      header: { ...r.header, jwk: isSaid ? other.jwk : mine.jwk },
      by: other,
      isGood: false,
    })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(goodRecipe, headerText)
      .map(([r, text]) => ({ ...r, change: () => text, isGood: false })),
  },
);

/** Signs a proof with a `jti` of its own, unless the recipe has another. */
function prepare({ header, claims, by = mine }: Recipe, nonce: string | undefined): string {
  const members = { typ: "dpop+jwt", alg: "ES256", jwk: mine.jwk, ...header };
  const payload = { htm: "POST", htu: whoAmIUrl, iat: nowSeconds, ath, nonce, ...claims };
  const input = `${segment(members)}.${segment({ jti: randomUUID(), ...payload })}`;
  return `${input}.${signature("ES256", by.privateKey, input).toString("base64url")}`;
}

describe("a DPoP proof", () => {
  const publicOrigins = ["https://other.test", "https://api.test"];
  const nonces = createDpopNonces({ secret: nonceSecret });

  test("passes once, and only as it has to be", async () => {
    const interceptor = createJwtAuthInterceptor({ secret, dpop: { publicOrigins } });
    const tally = createTally();
    const used: string[] = [];
    const call = fc.record({
      recipe,
      scheme: fc.constantFrom("DPoP", "dpop", "DPOP", "Bearer"),
      presented: fc.oneof(
        { weight: 9, arbitrary: fc.constant(token) },
        { weight: 1, arbitrary: fc.constantFrom(...otherTokens) },
      ),
      requestMethod: fc.constantFrom("POST", "POST", "POST", "GET"),
      isReplay: fc.nat(9).map((n) => n === 0),
    });
    await hold(inputsOf("DPoP proofs", 2), call, async (input) => {
      const { recipe, scheme, presented, requestMethod, isReplay } = input;
      const text = prepare(recipe, undefined);
      const dpop = isReplay ? (used.at(-1) ?? "") : (recipe.change?.(text) ?? text);
      const isProof = !isReplay && recipe.isGood && trimmed(dpop) === text;
      const isBound = scheme !== "Bearer" && presented === token && requestMethod === "POST";
      const isUsed = isProof && isBound;
      const isGood = isUsed || (scheme === "Bearer" && presented === unbound);
      const subject = isGood ? "alice" : undefined;
      tally.count(subject);
      if (isUsed) {
        used.push(text);
      }
      const authorization = `${scheme} ${presented}`;
      const outcome = await sendCall(interceptor, {
        header: { authorization, dpop },
        requestMethod,
      });
      const secrets = [...secretsIn(presented, dpop), secret];
      expect(problemsOf(outcome, { subject, secrets })).toEqual([]);
    });
    tally.check();
  });

  test("passes with a nonce of the server only, where there are nonces", async () => {
    const tally = createTally();
    const replayStore = createMemoryReplayStore();
    const interceptor = createJwtAuthInterceptor({
      secret,
      dpop: { publicOrigins, replayStore, nonces: { secret: nonceSecret }, required: true },
    });
    const current = nonces.current();
    vi.setSystemTime((nowSeconds - 300) * 1000);
    const previous = nonces.current();
    vi.setSystemTime((nowSeconds - 600) * 1000);
    const stale = nonces.current();
    vi.setSystemTime(nowSeconds * 1000);
    const nonce = fc.oneof(
      { weight: 1, arbitrary: fc.constantFrom(current, previous) },
      {
        weight: 1,
        arbitrary: fc.oneof(
          unlike(() => false, undefined, stale, "", [current], current.slice(1)),
          textChange.map((change) => change(current)),
        ),
      },
    );
    const call = fc.record({ recipe, nonce });
    await hold(inputsOf("DPoP proofs", 2), call, async ({ recipe, nonce }) => {
      const text = prepare({ ...recipe, claims: { ...recipe.claims, nonce } }, undefined);
      const dpop = recipe.change?.(text) ?? text;
      const isGood = recipe.isGood && trimmed(dpop) === text;
      const isNonce = nonce === current || nonce === previous;
      const subject = isGood && isNonce ? "alice" : undefined;
      tally.count(subject);
      const header = { authorization: `DPoP ${token}`, dpop };
      const outcome = await sendCall(interceptor, { header });
      const secrets = [...secretsIn(token, dpop), secret, nonceSecret];
      expect(problemsOf(outcome, { subject, secrets })).toEqual([]);
      if (outcome.passed) {
        // the next one comes with the response, where the old one runs out
        const want = nonce === previous ? [current, "no-store"] : [null, null];
        const { responseHeader } = outcome;
        expect([responseHeader.get("dpop-nonce"), responseHeader.get("cache-control")]).toEqual(
          want,
        );
      }
    });
    tally.check();
  });
});

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

function memberValues(): unknown[] {
  return [...Object.values(mine.jwk), ...Object.values(other.jwk), "RSA", "oct", "OKP", "AQAB"];
}

function isMine({ kty, crv, x, y }: Members): boolean {
  return kty === "EC" && crv === "P-256" && x === mine.jwk.x && y === mine.jwk.y;
}
