import { acceptedClaims, audience, issuer, now } from "../support/signed-tokens.js";

/** Claims that differ from accepted ones in one thing, and why they are refused. */
interface ClaimsCase {
  readonly name: string;
  /** Claims that replace accepted ones, or the whole payload as text or bytes. */
  readonly claims: Readonly<Record<string, unknown>> | string | Uint8Array;
  readonly reason: string;
}

const missing = (claim: string) => `token: missing required "${claim}" claim`;
const unexpected = (claim: string) => `token: unexpected "${claim}" claim value`;
const noNumber = (claim: string) => `token: "${claim}" claim must be a number`;
const outOfTime = (claim: string) => `token: "${claim}" claim timestamp check failed`;
const noTime = 'token: "exp" is not a time';
const future = 'token: "iat" is in the future';
const noSubject = 'token: no subject in "sub"';
const noClaims = "token: JWT Claims Set must be a top-level JSON object";
const bound = 'token: bound to a key ("cnf"), so not a bearer token';
const otherKind = (claim: string) => `token: "${claim}" is a claim of another kind of token`;

/** The accepted claims as JSON, with this after them, where it counts, or in place of a claim. */
function textWith(members: string, without?: keyof typeof acceptedClaims): string {
  const { [without ?? "jti"]: _, ...claims }: Record<string, unknown> = acceptedClaims;
  return `${JSON.stringify(claims).slice(0, -1)},${members}}`;
}

/** RFC 7519 §4.1.4. */
const exp: ClaimsCase[] = [
  { name: "no exp", claims: { exp: undefined }, reason: missing("exp") },
  { name: "a past exp", claims: { exp: now - 60 }, reason: outOfTime("exp") },
  {
    name: "an exp at the end of the tolerance",
    claims: { exp: now - 5 },
    reason: outOfTime("exp"),
  },
  { name: "exp 0", claims: { exp: 0 }, reason: outOfTime("exp") },
  { name: "a negative exp", claims: { exp: -now }, reason: outOfTime("exp") },
  { name: "an exp that is text", claims: { exp: `${now + 60}` }, reason: noNumber("exp") },
  { name: "an exp that is a date", claims: { exp: "2100-01-01" }, reason: noNumber("exp") },
  { name: "exp null", claims: { exp: null }, reason: noNumber("exp") },
  { name: "exp true", claims: { exp: true }, reason: noNumber("exp") },
  { name: "an exp in a list", claims: { exp: [now + 60] }, reason: noNumber("exp") },
  { name: "an exp in an object", claims: { exp: { at: now + 60 } }, reason: noNumber("exp") },
  { name: "an infinite exp", claims: textWith('"exp":1e400', "exp"), reason: noTime },
  { name: "exp -1e400", claims: textWith('"exp":-1e400', "exp"), reason: outOfTime("exp") },
  { name: "an exp that no date reaches", claims: { exp: 8.64e12 + 1 }, reason: noTime },
  { name: "the largest exp of all", claims: { exp: Number.MAX_VALUE }, reason: noTime },
  { name: "two exp, the last one past", claims: textWith('"exp":1'), reason: outOfTime("exp") },
  {
    name: "an inherited exp",
    claims: textWith(`"__proto__":{"exp":${now + 60}}`, "exp"),
    reason: missing("exp"),
  },
];

/** RFC 7519 §4.1.5 and §4.1.6. */
const nbfAndIat: ClaimsCase[] = [
  { name: "an nbf in the future", claims: { nbf: now + 6 }, reason: outOfTime("nbf") },
  { name: "an nbf that is text", claims: { nbf: `${now - 60}` }, reason: noNumber("nbf") },
  { name: "nbf null", claims: { nbf: null }, reason: noNumber("nbf") },
  { name: "an nbf in a list", claims: { nbf: [now - 60] }, reason: noNumber("nbf") },
  { name: "an infinite nbf", claims: textWith('"nbf":1e400', "nbf"), reason: outOfTime("nbf") },
  { name: "an iat in the future", claims: { iat: now + 6 }, reason: future },
  { name: "an infinite iat", claims: textWith('"iat":1e400', "iat"), reason: future },
  { name: "an iat that is text", claims: { iat: `${now}` }, reason: noNumber("iat") },
  { name: "iat null", claims: { iat: null }, reason: noNumber("iat") },
  { name: "iat false", claims: { iat: false }, reason: noNumber("iat") },
];

/** RFC 7519 §4.1.1, RFC 8725 §3.8: the same characters, nothing else. */
const iss: ClaimsCase[] = [
  { name: "no iss", claims: { iss: undefined }, reason: missing("iss") },
  {
    name: "an inherited iss",
    claims: textWith(`"__proto__":{"iss":"${issuer}"}`, "iss"),
    reason: missing("iss"),
  },
  ...[
    null,
    "",
    7,
    [issuer],
    { iss: issuer },
    "https://issuer.test",
    "https://issuer.test//",
    "https://issuer.test/x",
    "https://issuer.test/.",
    "https://issuer.test:443/",
    "https://ISSUER.test/",
    "HTTPS://issuer.test/",
    "http://issuer.test/",
    "https://issuer.test/ ",
    " https://issuer.test/",
    "https://issuer.test/\0",
    "https://issuer.test/\u200b",
    "https://issuer.test/?",
    "https://issuer.test/#",
    "https://issuer%2Etest/",
    "https://іssuer.test/", // a Cyrillic і
    "https://issuer。test/", // an ideographic full stop
    "https://iѕѕuer.test/", // Cyrillic ѕ
    "https://issuer.test∕", // a division slash
    `${issuer} ${issuer}`,
  ].map((value) => ({
    name: `iss ${JSON.stringify(value)}`,
    claims: { iss: value },
    reason: unexpected("iss"),
  })),
];

/** RFC 7519 §4.1.3. */
const aud: ClaimsCase[] = [
  { name: "no aud", claims: { aud: undefined }, reason: missing("aud") },
  ...[
    null,
    "",
    [],
    [""],
    [null],
    7,
    true,
    [[audience]],
    [{ aud: audience }],
    { 0: audience, length: 1 },
    { [audience]: true },
    "https://api.tes",
    "https://api.test.evil",
    "https://api.test/",
    "HTTPS://API.TEST",
    "https://аpi.test", // a Cyrillic а
    `${audience} https://other.test`,
    `${audience},https://other.test`,
    ["https://other.test", `${audience}/`],
  ].map((value) => ({
    name: `aud ${JSON.stringify(value)}`,
    claims: { aud: value },
    reason: unexpected("aud"),
  })),
];

/** RFC 7519 §4.1.2. */
const sub: ClaimsCase[] = [
  undefined,
  null,
  "",
  " ",
  "\t\n",
  "\u00a0",
  7,
  0,
  true,
  ["alice"],
  { sub: "alice" },
].map((value) => ({
  name: `sub ${JSON.stringify(value)}`,
  claims: { sub: value },
  reason: noSubject,
}));

const subText: ClaimsCase[] = [
  { name: "two sub, the last one empty", claims: textWith('"sub":""'), reason: noSubject },
  {
    name: "an inherited sub",
    claims: textWith('"__proto__":{"sub":"mallory"}', "sub"),
    reason: noSubject,
  },
];

/** RFC 7800 §3.1, RFC 9449 §6.1, RFC 8705 §3.1: whatever it is bound to, nobody showed it. */
const cnf: ClaimsCase[] = [
  { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" },
  { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" },
  { jwk: { kty: "EC" } },
  { kid: "1" },
  { unheard: "of" },
  {},
  [],
  null,
  false,
  0,
  "",
  "x",
].map((value) => ({
  name: `cnf ${JSON.stringify(value)}`,
  claims: { cnf: value },
  reason: bound,
}));

/** RFC 8725 §3.11: tokens of other kinds, whose typ may be JWT. */
const kinds: ClaimsCase[] = [
  { name: "an id token", claims: { at_hash: "x" }, reason: otherKind("at_hash") },
  { name: "an id token with a code", claims: { c_hash: "x" }, reason: otherKind("c_hash") },
  { name: "an id token with a state", claims: { s_hash: "x" }, reason: otherKind("s_hash") },
  {
    name: "a logout token",
    claims: { events: { "http://schemas.openid.net/event/backchannel-logout": {} } },
    reason: otherKind("events"),
  },
];

/** RFC 7519 §4. */
const texts: ClaimsCase[] = [
  { name: "a payload that is a list", claims: `[${textWith('"x":1')}]`, reason: noClaims },
  { name: "a payload that is text", claims: '"alice"', reason: noClaims },
  { name: "a payload that is null", claims: "null", reason: noClaims },
  { name: "a payload that is a number", claims: "1", reason: noClaims },
  { name: "a payload that does not end", claims: '{"sub":"alice"', reason: noClaims },
  { name: "a payload of two objects", claims: `${textWith('"x":1')}{}`, reason: noClaims },
  { name: "a payload with NaN", claims: textWith('"exp":NaN', "exp"), reason: noClaims },
  { name: "a payload with Infinity", claims: textWith('"exp":Infinity', "exp"), reason: noClaims },
  { name: "a payload with a comment", claims: textWith('"x":1/**/'), reason: noClaims },
  {
    name: "a payload that is no UTF-8",
    claims: Buffer.from(textWith('"x":"\xff"'), "latin1"),
    reason: noClaims,
  },
];

export const refusedClaims: readonly ClaimsCase[] = [
  ...exp,
  ...nbfAndIat,
  ...iss,
  ...aud,
  ...sub,
  ...subText,
  ...cnf,
  ...kinds,
  ...texts,
];

/** Their neighbours that are accepted. */
export const acceptedPayloads: readonly Omit<ClaimsCase, "reason">[] = [
  { name: "an exp within the tolerance", claims: { exp: now - 4 } },
  { name: "an exp with a fraction", claims: { exp: now + 0.5 } },
  { name: "the last exp that is a date", claims: { exp: 8.64e12 } },
  { name: "an nbf within the tolerance", claims: { nbf: now + 5 } },
  { name: "no nbf", claims: { nbf: undefined } },
  { name: "an iat within the tolerance", claims: { iat: now + 5 } },
  { name: "no iat", claims: { iat: undefined } },
  { name: "ours among other audiences", claims: { aud: ["https://other.test", audience] } },
  { name: "two exp, the last one good", claims: `{"exp":1,${textWith('"x":1').slice(1)}` },
  { name: "an own __proto__", claims: textWith('"__proto__":{"sub":"mallory","exp":1}') },
  {
    name: "claims that are nested deeply",
    claims: textWith(`"x":${"[".repeat(2900)}${"]".repeat(2900)}`),
  },
  { name: "a nonce, which some access tokens have too", claims: { nonce: "x" } },
];

/** Claims beside accepted ones that give no roles, however much they look like some. */
export const claimsWithoutRoles: readonly Omit<ClaimsCase, "reason">[] = [
  { name: "text", claims: { roles: "admin" } },
  { name: "JSON in text", claims: { roles: '["admin"]' } },
  { name: "lists in a list", claims: { roles: [["admin"]] } },
  { name: "a list with null", claims: { roles: ["admin", null] } },
  { name: "a list with an object", claims: { roles: ["admin", {}] } },
  { name: "an object like a list", claims: { roles: { 0: "admin", length: 1 } } },
  { name: "an object of roles", claims: { roles: { admin: true } } },
  { name: "true", claims: { roles: true } },
  { name: "in another spelling", claims: { Roles: ["admin"], ROLES: ["admin"], role: ["admin"] } },
  { name: "inherited", claims: textWith('"__proto__":{"roles":["admin"]}') },
  { name: "replaced by nothing", claims: textWith('"roles":["admin"],"roles":[]') },
];
