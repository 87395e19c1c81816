import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import fc from "fast-check";
import { segment, signature } from "../support/signed-tokens.js";
import { changed } from "./change-text.js";
import { json, unlike } from "./values.js";

/** A text that is presented as a credential, and what is known about it. */
export interface Credential {
  readonly text: string;
  /**
   * The credentials that it was made of, and whose they are: only these texts,
   * to the letter, may be accepted.
   */
  readonly good: ReadonlyMap<string, string>;
}

const none: Credential["good"] = new Map();

/** Who signs the tokens of a suite. */
export interface TokenSigner {
  readonly alg: string;
  readonly key: KeyObject | Uint8Array;
  /** Members that the header of a good token has. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly issuer: string;
  readonly audience: string;
  /** Members that the claims of a good token have. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Names of header members that are wrong with any value but that of `header`. Default: none. */
  readonly strictMembers?: readonly string[];
  /** What forgers could take for a secret of HMAC. Default: nothing. */
  readonly publicTexts?: readonly (string | Uint8Array)[];
}

type Members = Readonly<Record<string, unknown>>;

const nowSeconds = Math.floor(Date.now() / 1000);
/** Tests take less than an hour. */
const later = nowSeconds + 36_000;
const earlier = nowSeconds - 36_000;

const subjects = fc.oneof(
  fc.constantFrom("alice", "bob", "a, b", "__proto__", "admin"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 20 }).filter((text) => text.trim() !== ""),
);

/** Claims and header members that change nothing, whatever is in them. */
const harmlessClaims = fc.dictionary(
  fc.constantFrom("name", "roles", "scope", "jti", "client_id", "azp", "__proto__", "act", "x"),
  json,
  { maxKeys: 3 },
);
const harmlessMembers = fc.dictionary(
  fc.constantFrom("jku", "x5u", "x5c", "x5t", "jwk", "cty", "zip", "enc", "x"),
  json,
  { maxKeys: 2 },
);

function goodClaims({ issuer, audience, claims }: TokenSigner): fc.Arbitrary<Members> {
  return fc
    .record({
      sub: subjects,
      exp: fc.constantFrom(later, later + 0.5, 8.64e12),
      iss: fc.constant(issuer),
      aud: fc.constantFrom(audience, [audience], ["https://other.test", audience]),
      nbf: fc.constantFrom(undefined, earlier, 0),
      iat: fc.constantFrom(undefined, earlier, 0, -1),
      more: harmlessClaims,
    })
    .map(({ more, ...own }) => ({ ...more, ...own, ...claims }));
}

const goodType = fc.constantFrom(undefined, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt");

function goodHeader({ alg, header }: TokenSigner): fc.Arbitrary<Members> {
  return fc
    .record({ typ: goodType, more: harmlessMembers })
    .map(({ typ, more }) => ({ ...more, typ, alg, ...header }));
}

/** One claim that spoils a token. */
function badClaim({ issuer, audience }: TokenSigner): fc.Arbitrary<Members> {
  const isNumber = (value: unknown) => typeof value === "number";
  return fc.oneof(
    unlike((value) => value === issuer, undefined, `${issuer}/`, [issuer], "").map((iss) => ({
      iss,
    })),
    unlike(
      (value) => [value].flat().includes(audience),
      undefined,
      audience.slice(0, -1),
      `${audience}/`,
      [[audience]],
      [],
    ).map((aud) => ({ aud })),
    unlike((value) => typeof value === "string" && value.trim() !== "", undefined, "", " ", [
      "alice",
    ]).map((sub) => ({ sub })),
    unlike(isNumber, undefined, `${later}`, [later]).map((exp) => ({ exp })),
    fc.constantFrom(earlier, 0, -later, 1e300, 8.64e12 + 1).map((exp) => ({ exp })),
    unlike((value) => isNumber(value) || value === undefined, null, `${earlier}`).map((nbf) => ({
      nbf,
    })),
    unlike((value) => isNumber(value) || value === undefined, null, `${earlier}`).map((iat) => ({
      iat,
    })),
    fc.constantFrom<Members>({ nbf: later }, { iat: later }, { nbf: 1e300 }, { iat: 1e300 }),
    fc
      .tuple(fc.constantFrom("cnf", "events", "at_hash", "c_hash", "s_hash"), json)
      .map(([name, value]) => ({ [name]: value })),
  );
}

/** One header member that spoils a token, whoever signed it. */
function badMember({ alg, header, strictMembers = [] }: TokenSigner): fc.Arbitrary<Members> {
  const types = fc.constantFrom("dpop+jwt", "logout+jwt", "secevent+jwt", "JWE", "", "jwt;a=b");
  const algs = ["none", "None", "NONE", "", "HS256", "RS256", "PS256", "ES384", "EdDSA", undefined];
  const strict = strictMembers.map((name) =>
    fc
      .oneof(json, fc.constantFrom<unknown>("../../etc/passwd", "' OR 1=1", "__proto__", undefined))
      .filter((value) => value !== header?.[name])
      .map((value): Members => ({ [name]: value })),
  );
  return fc.oneof(
    ...strict,
    fc
      .oneof(fc.constantFrom(...algs), json)
      .filter((value) => value !== alg)
      .map((value) => ({ alg: value })),
    fc
      .oneof(types, json)
      .filter((typ) => typeof typ !== "string" || !/^(application\/)?(at\+)?jwt$/i.test(typ))
      .map((typ) => ({ typ })),
    fc
      .oneof(json, fc.constantFrom([], ["b64"], ["exp"], ["alg", "crit"]))
      .map((crit) => ({ crit })),
    json.map((b64) => ({ b64 })),
    fc.boolean().map((b64) => ({ crit: ["b64"], b64 })),
  );
}

const foreignKeys: readonly { readonly alg: string; readonly key: KeyObject | Uint8Array }[] = [
  { alg: "ES256", key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey },
  { alg: "RS256", key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey },
  { alg: "EdDSA", key: generateKeyPairSync("ed25519").privateKey },
  { alg: "HS256", key: randomBytes(32) },
  { alg: "HS256", key: new Uint8Array(0) },
];

/** Signs a token, whatever is in it. */
function sign(
  header: Members | string,
  payload: Members | string,
  { alg, key }: Pick<TokenSigner, "alg" | "key">,
): string {
  const input = `${segment(header)}.${segment(payload)}`;
  return `${input}.${signature(alg, key, input).toString("base64url")}`;
}

/** A token that has to be accepted. */
export function goodToken(signer: TokenSigner): fc.Arbitrary<Credential> {
  return fc.tuple(goodHeader(signer), goodClaims(signer)).map(([header, claims]) => {
    const text = sign(header, claims, signer);
    return { text, good: new Map([[text, String(claims.sub)]]) };
  });
}

/** A token, good or bad: changed, of other claims, of another header, by another key, put together from two. */
export function anyToken(signer: TokenSigner): fc.Arbitrary<Credential> {
  const header = goodHeader(signer);
  const claims = goodClaims(signer);
  const good = goodToken(signer);
  const bad = (text: fc.Arbitrary<string>): fc.Arbitrary<Credential> =>
    text.map((value) => ({ text: value, good: none }));
  const publicKeys = (signer.publicTexts ?? []).map((text) => ({
    alg: "HS256",
    key: Buffer.from(text),
  }));

  return fc.oneof(
    { weight: 3, arbitrary: good },
    {
      weight: 5,
      arbitrary: good.chain((token) => changed(token.text).map((text) => ({ ...token, text }))),
    },
    {
      weight: 4,
      arbitrary: bad(
        fc
          .tuple(header, claims, badClaim(signer))
          .map(([h, c, wrong]) => sign(h, { ...c, ...wrong }, signer)),
      ),
    },
    {
      weight: 4,
      arbitrary: bad(
        fc
          .tuple(header, claims, badMember(signer))
          .map(([h, c, wrong]) => sign({ ...h, ...wrong }, c, signer)),
      ),
    },
    // by somebody else, who may say so in the header or not
    {
      weight: 3,
      arbitrary: bad(
        fc
          .tuple(header, claims, fc.constantFrom(...foreignKeys, ...publicKeys), fc.boolean())
          .map(([h, c, by, isSaid]) => sign(isSaid ? { ...h, alg: by.alg } : h, c, by)),
      ),
    },
    // segments of two
    {
      weight: 2,
      arbitrary: fc
        .tuple(good, good, fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()))
        .map(([one, two, picks]): Credential => {
          const segments = [one.text.split("."), two.text.split(".")];
          const text = picks.map((isFirst, i) => segments[isFirst ? 0 : 1]?.[i]).join(".");
          return { text, good: new Map([...one.good, ...two.good]) };
        }),
    },
    // parts that are no objects, signed well
    {
      weight: 1,
      arbitrary: bad(
        fc
          .tuple(fc.oneof(json, fc.string()), fc.boolean(), header, claims)
          .filter(([part]) => !isObject(part))
          .map(([part, isHeader, h, c]) => {
            const text = JSON.stringify(part);
            return isHeader ? sign(text, c, signer) : sign(h, text, signer);
          }),
      ),
    },
    // above 8 KiB, signed well
    {
      weight: 1,
      arbitrary: bad(
        fc
          .tuple(header, claims, fc.integer({ min: 6200, max: 20_000 }))
          .map(([h, c, length]) => sign(h, { ...c, padding: "x".repeat(length) }, signer)),
      ),
    },
  );
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
