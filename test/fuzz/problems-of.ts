import { inspect } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { parseChallenges } from "../../src/credentials/challenge.js";
import type { Outcome } from "./send-call.js";

/** What is known of a call before it is sent. */
export interface Expectation {
  /**
   * Whose credential the call has, in a spelling that is allowed. `undefined`:
   * it has none that may be accepted, so the call must be refused.
   */
  readonly subject: string | undefined;
  /** What no error may show. */
  readonly secrets: Iterable<string>;
  /** Headers that handlers do not see, in lower case and with hyphens. Default: `x-auth-*` and the secret of gateways. */
  readonly hidden?: readonly string[];
}

/** All that clients are told, and with which code. */
const told: ReadonlyMap<string, Code> = new Map([
  ["missing credentials", Code.Unauthenticated],
  ["invalid token", Code.Unauthenticated],
  ["invalid DPoP proof", Code.Unauthenticated],
  ["invalid credentials", Code.Unauthenticated],
  ["access denied", Code.PermissionDenied],
  ["credentials cannot be verified at the moment", Code.Unavailable],
]);

const gatewayHeaders = ["x-auth-subject", "x-auth-roles", "x-auth-name", "x-gateway-secret"];

/** What is wrong with how a call ended. Empty: all is as it has to be. */
export function problemsOf(outcome: Outcome, expectation: Expectation): string[] {
  return outcome.passed
    ? problemsOfPass(outcome, expectation)
    : [...problemsOfRefusal(outcome.error, expectation)];
}

function problemsOfPass(
  { identity, header }: Outcome & { passed: true },
  { subject, hidden = gatewayHeaders }: Expectation,
): string[] {
  const shown = [...header.keys()].filter((name) => hidden.includes(name.replaceAll("_", "-")));
  return [
    ...(subject === undefined ? [`accepted, as ${JSON.stringify(identity?.subject)}`] : []),
    ...(subject !== undefined && identity?.subject !== subject
      ? [`accepted as ${JSON.stringify(identity?.subject)} and not ${JSON.stringify(subject)}`]
      : []),
    ...shown.map((name) => `the handler sees ${name}`),
  ];
}

function* problemsOfRefusal(
  error: unknown,
  { subject, secrets }: Expectation,
): Generator<string, void> {
  if (!(error instanceof ConnectError)) {
    yield `no ConnectError: ${inspect(error)}`;
    return;
  }
  const { rawMessage, code, metadata } = error;
  if (subject !== undefined) {
    yield `refused, though the credential is good: ${rawMessage}, ${String(error.cause)}`;
  }
  if (told.get(rawMessage) !== code || error.details.length > 0) {
    yield `the client is told ${JSON.stringify(rawMessage)} with ${Code[code]}`;
  }
  if (error.cause instanceof Error && /[\p{Cc}\p{Zl}\p{Zp}]/u.test(error.cause.message)) {
    yield `the reason writes lines of its own into a log: ${JSON.stringify(error.cause.message)}`;
  }
  for (const [name, value] of metadata) {
    yield* problemsOfHeader(name, value);
  }
  const texts = textsOf(error);
  for (const secret of secrets) {
    if (texts.some((text) => text.includes(secret))) {
      yield `a secret shows: ${secret}`;
    }
  }
}

function* problemsOfHeader(name: string, value: string): Generator<string, void> {
  if (name === "dpop-nonce" && /^[\w-]{20,}$/.test(value)) {
    return;
  }
  if (name !== "www-authenticate" || !isChallenge(value)) {
    yield `not a header that we send: ${name}: ${JSON.stringify(value)}`;
  }
}

/** Whether nothing stands in a value but challenges of ours. */
export function isChallenge(value: string): boolean {
  const challenges = parseChallenges(value);
  const names = challenges.flatMap(({ params }) => [...params.keys()]);
  const written = challenges.map(({ scheme, params }) => {
    const list = [...params].map(([name, text]) => `${name}="${text}"`).join(", ");
    return `${scheme === "dpop" ? "DPoP" : "Bearer"}${list && ` ${list}`}`;
  });
  return (
    written.join(", ") === value &&
    challenges.length > 0 &&
    challenges.every(({ scheme }) => scheme === "bearer" || scheme === "dpop") &&
    names.every((name) => ["error", "scope", "algs"].includes(name)) &&
    /^[\x20-\x7e]+$/.test(value)
  );
}

/** All that a log could show of an error. */
function textsOf(error: ConnectError): string[] {
  const chain: string[] = [];
  for (let cause: unknown = error; cause !== undefined && chain.length < 10; ) {
    chain.push(String(cause), cause instanceof Error ? (cause.stack ?? "") : "");
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return [
    ...chain,
    inspect(error, { depth: 10, maxStringLength: null, maxArrayLength: null }),
    JSON.stringify(error) ?? "",
    JSON.stringify([...error.metadata]),
  ];
}
