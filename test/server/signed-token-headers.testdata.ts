/** A header that differs from an accepted one in one thing, and why it is refused. */
interface HeaderCase {
  readonly name: string;
  /** Members that replace those of the accepted header, or the whole header as text or bytes. */
  readonly header: Readonly<Record<string, unknown>> | string | Uint8Array;
  readonly reason: string;
}

const noAlg = 'token: JWS "alg" (Algorithm) Header Parameter missing or invalid';
const otherAlg = 'token: "alg" (Algorithm) Header Parameter value not allowed';
const noHeader = "token: JWS Protected Header is invalid";
const badCrit =
  'token: "crit" (Critical) Header Parameter MUST be an array of non-empty strings when present';
const extension = 'token: "b64" is an extension of JWS that is not known here (RFC 7797)';
const otherKind = (typ: unknown) => `token: typ ${JSON.stringify(typ)} is another kind of token`;
const unknownCrit = (name: string) =>
  `token: Extension Header Parameter "${name}" is not recognized`;

/** RFC 7515 §4.1.1, RFC 8725 §3.1 and §3.2. */
const algorithms: HeaderCase[] = [
  { name: "alg none", header: { alg: "none" }, reason: otherAlg },
  { name: "alg None", header: { alg: "None" }, reason: otherAlg },
  { name: "alg nOnE", header: { alg: "nOnE" }, reason: otherAlg },
  { name: "alg in lower case", header: { alg: "es256" }, reason: otherAlg },
  { name: "alg with a space", header: { alg: "ES256 " }, reason: otherAlg },
  { name: "alg with a null byte", header: { alg: "ES256\0" }, reason: otherAlg },
  { name: "alg in full width", header: { alg: "ＥＳ２５６" }, reason: otherAlg },
  { name: "alg of the next curve", header: { alg: "ES384" }, reason: otherAlg },
  { name: "alg of RSA", header: { alg: "RS256" }, reason: otherAlg },
  { name: "alg of a secret", header: { alg: "HS256" }, reason: otherAlg },
  { name: "alg of an encryption", header: { alg: "RSA-OAEP" }, reason: otherAlg },
  { name: "alg __proto__", header: { alg: "__proto__" }, reason: otherAlg },
  { name: "no alg", header: { alg: undefined }, reason: noAlg },
  { name: "an empty alg", header: { alg: "" }, reason: noAlg },
  { name: "alg null", header: { alg: null }, reason: noAlg },
  { name: "an alg that is a number", header: { alg: 256 }, reason: noAlg },
  { name: "an alg that is true", header: { alg: true }, reason: noAlg },
  { name: "a list of algs", header: { alg: ["ES256"] }, reason: noAlg },
  { name: "an object for an alg", header: { alg: { name: "ES256" } }, reason: noAlg },
  { name: "two algs, the last one none", header: '{"alg":"ES256","alg":"none"}', reason: otherAlg },
  { name: "an inherited alg", header: '{"__proto__":{"alg":"ES256"}}', reason: noAlg },
];

/** RFC 7515 §4.1.11, RFC 7797 §7. */
const extensions: HeaderCase[] = [
  { name: "crit of nothing", header: { crit: [] }, reason: badCrit },
  { name: "crit null", header: { crit: null }, reason: badCrit },
  { name: "a crit that is text", header: { crit: "b64", b64: true }, reason: badCrit },
  { name: "a crit that is an object", header: { crit: { 0: "b64" }, b64: true }, reason: badCrit },
  { name: "a crit of numbers", header: { crit: [1], 1: 1 }, reason: badCrit },
  { name: "a crit of empty text", header: { crit: [""], "": 1 }, reason: badCrit },
  { name: "a crit in a crit", header: { crit: [["b64"]], b64: true }, reason: badCrit },
  { name: "an unknown crit", header: { crit: ["x"], x: 1 }, reason: unknownCrit("x") },
  { name: "a crit of exp", header: { crit: ["exp"], exp: 1 }, reason: unknownCrit("exp") },
  { name: "a crit of alg", header: { crit: ["alg"] }, reason: unknownCrit("alg") },
  {
    name: "a crit of __proto__",
    header: '{"alg":"ES256","crit":["__proto__"],"__proto__":1}',
    reason: unknownCrit("__proto__"),
  },
  {
    name: "a crit of toString",
    header: { crit: ["toString"], toString: 1 },
    reason: unknownCrit("toString"),
  },
  {
    name: "a known crit and an unknown one",
    header: { crit: ["b64", "x"], b64: true, x: 1 },
    reason: unknownCrit("x"),
  },
  {
    name: "a crit of b64 without b64",
    header: { crit: ["b64"] },
    reason: 'token: Extension Header Parameter "b64" is missing',
  },
  {
    name: "a b64 that is text",
    header: { crit: ["b64"], b64: "true" },
    reason: 'token: The "b64" (base64url-encode payload) Header Parameter must be a boolean',
  },
  { name: "b64 true", header: { crit: ["b64"], b64: true }, reason: extension },
  { name: "b64 twice in crit", header: { crit: ["b64", "b64"], b64: true }, reason: extension },
  { name: "b64 false that crit does not name", header: { b64: false }, reason: extension },
  { name: "b64 null", header: { b64: null }, reason: extension },
];

/** RFC 8725 §3.11. */
const types: HeaderCase[] = [
  "dpop+jwt",
  "application/dpop+jwt",
  "logout+jwt",
  "secevent+jwt",
  "id+jwt",
  "id_token+jwt",
  "token-introspection+jwt",
  "oauth-authz-req+jwt",
  "JOSE",
  "at+jwt; charset=utf-8",
  " at+jwt",
  "text/at+jwt",
  "application/application/at+jwt",
  "at+jwt/application",
  "аt+jwt", // a Cyrillic a
  "",
  null,
  7,
  false,
  ["at+jwt"],
  { typ: "at+jwt" },
].map((typ) => ({ name: `typ ${JSON.stringify(typ)}`, header: { typ }, reason: otherKind(typ) }));

/** RFC 7515 §4. */
const texts: HeaderCase[] = [
  { name: "a header that is a list", header: '[{"alg":"ES256"}]', reason: noHeader },
  { name: "a header that is text", header: '"ES256"', reason: noHeader },
  { name: "a header that is null", header: "null", reason: noHeader },
  { name: "a header that is a number", header: "1", reason: noHeader },
  { name: "a header that does not end", header: '{"alg":"ES256"', reason: noHeader },
  { name: "a header with something behind it", header: '{"alg":"ES256"}{}', reason: noHeader },
  { name: "a header that is no JSON", header: "{'alg':'ES256'}", reason: noHeader },
  {
    name: "a header that is no UTF-8",
    header: Buffer.from('{"alg":"ES256","x":"\xff"}', "latin1"),
    reason: noHeader,
  },
  {
    name: "a header in UTF-16",
    header: Buffer.from('{"alg":"ES256"}', "utf16le"),
    reason: noHeader,
  },
];

export const refusedHeaders: readonly HeaderCase[] = [
  ...algorithms,
  ...extensions,
  ...types,
  ...texts,
];

/** Their neighbours that are accepted. */
export const acceptedHeaders: readonly Omit<HeaderCase, "reason">[] = [
  { name: "no typ", header: { typ: undefined } },
  { name: "typ JWT", header: { typ: "JWT" } },
  { name: "typ in capitals", header: { typ: "APPLICATION/AT+JWT" } },
  { name: "two algs, the first one none", header: '{"alg":"none","alg":"ES256"}' },
  { name: "space in the header", header: ' {\n"alg" : "ES256" }\t' },
  { name: "members that say nothing here", header: { cty: "JWT", zip: "DEF", enc: "A128GCM" } },
  { name: "a kid that no key set is asked for", header: { kid: 7 } },
  { name: "an own __proto__", header: '{"alg":"ES256","__proto__":{"alg":"none"}}' },
];
