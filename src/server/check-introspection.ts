import { invalidToken } from "./refusal.js";

/** What the answer of an introspection endpoint is compared with. */
export interface IntrospectionExpectations {
  readonly issuer?: string;
  /** `false`: not compared. */
  readonly audience: readonly string[] | false;
  readonly clockToleranceSeconds: number;
}

/** RFC 6749 §7.1: a type that is not known is not to be used. RFC 8693 §3 has the URN. */
const accessTokenTypes = new Set([
  "bearer",
  "dpop",
  "access_token",
  "urn:ietf:params:oauth:token-type:access_token",
]);

/** Tokens of other kinds, as servers name them that have members of their own for that. */
const otherKinds = /refresh|offline|logout|\bid([_-]?token)?$/i;

/**
 * Checks what an authorization server says about a token (RFC 7662 §2.2).
 * Throws `Unauthenticated` where the token is not to be accepted. The key that
 * it is bound to (`cnf`) is not looked at here: `createTokenAuthenticator` does.
 */
export function checkIntrospection(
  answer: Readonly<Record<string, unknown>>,
  { issuer, audience, clockToleranceSeconds }: IntrospectionExpectations,
): void {
  if (answer.active !== true) {
    throw invalidToken("token: not active");
  }
  checkKind(answer);
  checkTimes(answer, clockToleranceSeconds);
  if (issuer !== undefined && answer.iss !== undefined && answer.iss !== issuer) {
    throw invalidToken('token: "iss" is another issuer');
  }
  const named: unknown[] = [answer.aud].flat();
  if (audience !== false && !audience.some((name) => named.includes(name))) {
    throw invalidToken(
      answer.aud === undefined
        ? 'token: "aud" is missing; audience: false accepts that'
        : 'token: "aud" is not this server; audience says which names it has',
    );
  }
}

function checkKind({ token_type, token_use, typ, cnf }: Readonly<Record<string, unknown>>): void {
  const type = typeof token_type === "string" ? token_type.toLowerCase() : token_type;
  if (type !== undefined && !(typeof type === "string" && accessTokenTypes.has(type))) {
    throw invalidToken('token: "token_type" is no type of access token');
  }
  // RFC 9449 §6.2: a bound token has its key here; without one it would pass as Bearer
  if (type === "dpop" && cnf === undefined) {
    throw invalidToken('token: "token_type" is DPoP, and no key in "cnf"');
  }
  for (const [name, kind] of Object.entries({ token_use, typ })) {
    if (kind !== undefined && (typeof kind !== "string" || otherKinds.test(kind))) {
      throw invalidToken(`token: "${name}" is another kind of token`);
    }
  }
}

function checkTimes(
  { exp, nbf, iat }: Readonly<Record<string, unknown>>,
  toleranceSeconds: number,
): void {
  const nowSeconds = Date.now() / 1000;
  for (const [name, time = nowSeconds] of Object.entries({ exp, nbf, iat })) {
    // one that a Date can hold, ECMA-262 §21.4.1.1
    if (!(typeof time === "number" && Math.abs(time) <= 8.64e12)) {
      throw invalidToken(`token: "${name}" is not a time`);
    }
    const isPast = time <= nowSeconds - toleranceSeconds;
    const isFuture = time > nowSeconds + toleranceSeconds;
    if (name === "exp" ? isPast : isFuture) {
      throw invalidToken(`token: "${name}" is in the ${isPast ? "past" : "future"}`);
    }
  }
}
