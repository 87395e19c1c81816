import { generateKeyPairSync, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Authenticator,
  createInternalAuthInterceptor,
  meshIdentityTrust,
  sharedSecretTrust,
  signedTokenTrust,
} from "../../src/server/index.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { authorization, isSpelling, secretsIn } from "./authorization.js";
import { changed, headerText, trimmed } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import { anyToken, type TokenSigner } from "./tokens.js";
import { anyXfcc, principalIn } from "./xfcc.js";

const method = UserService.method.reindex;
const principals = ["spiffe://cluster.local/ns/shop/sa/indexer", "cluster.local/ns/shop/sa/pay"];
const secrets = [randomBytes(32).toString("base64"), randomBytes(40).toString("base64url")];
const hidden = [
  "x-forwarded-client-principal",
  "x-forwarded-client-cert",
  "x-internal-token",
  "x-internal-secret",
  "x-auth-subject",
];

const internal = (trustSource: Authenticator | readonly Authenticator[]) =>
  createInternalAuthInterceptor({
    trustSource,
    internalMethods: ["acme.user.v1.UserService/Reindex"],
  });

const principal = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...principals) },
  { weight: 2, arbitrary: fc.constantFrom(...principals).chain(changed) },
  { weight: 1, arbitrary: fc.constantFrom("__proto__", principals.join(", "), "x".repeat(9000)) },
  { weight: 1, arbitrary: headerText },
);
const isPrincipal = (value: string) => principals.includes(value);

const known = fc.constantFrom(...secrets);
const secret = fc.oneof(
  { weight: 2, arbitrary: known },
  { weight: 4, arbitrary: known.chain(changed) },
  { weight: 1, arbitrary: fc.constantFrom("", secrets.join(","), secrets.join(", ")) },
  { weight: 1, arbitrary: headerText },
);
const isSecret = (value: string) => secrets.includes(trimmed(value));

const audience = "https://api.test";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const shop = { alg: "RS256", key: rsa.privateKey, issuer: "https://shop.test", audience };
const pay = { alg: "ES256", key: ec.privateKey, issuer: "https://pay.test", audience };
const issuers = {
  [shop.issuer]: { publicKey: rsa.publicKey, algorithms: ["RS256"], audience },
  [pay.issuer]: { publicKey: ec.publicKey, audience },
};
/** Each issuer signs its own tokens well, and those of the other badly. */
const signers: readonly TokenSigner[] = [shop, pay];
const token = fc.oneof(
  ...signers.map((signer) => ({ weight: 5, arbitrary: anyToken(signer) })),
  ...[
    { ...shop, issuer: pay.issuer },
    { ...pay, issuer: shop.issuer },
  ].map((signer) => ({
    weight: 1,
    arbitrary: anyToken(signer).map(({ text }) => ({ text, good: new Map<string, string>() })),
  })),
);
/** With `Bearer` before it, or without. */
const internalToken = fc.oneof(
  token.map(({ text, good }) => ({ value: text, good })),
  authorization(token),
);

function subjectOf(value: string, good: ReadonlyMap<string, string>): string | undefined {
  const isToken = (text: string) => trimmed(value) === text || isSpelling(value, "Bearer", text);
  return [...good].find(([text]) => isToken(text))?.[1];
}

describe("an internal call with", () => {
  test("a mesh principal", async () => {
    const allowlist = principals.map((name) => ({ principal: name }));
    const interceptor = internal(meshIdentityTrust({ allowlist }));
    const tally = createTally();
    await hold(inputsOf("mesh principals", 2), principal, async (value) => {
      const subject = isPrincipal(trimmed(value)) ? trimmed(value) : undefined;
      tally.count(subject);
      const header = { "x-forwarded-client-principal": value };
      const outcome = await sendCall(interceptor, { header, method });
      expect(problemsOf(outcome, { subject, secrets: [], hidden })).toEqual([]);
    });
    tally.check();
  });

  test("the principal in x-forwarded-client-cert", async () => {
    const allowlist = principals.map((name) => ({ principal: name }));
    const interceptor = internal(meshIdentityTrust({ allowlist, header: hidden[1] ?? "" }));
    const tally = createTally();
    await hold(inputsOf("mesh principals", 2), anyXfcc(principals), async (value) => {
      const found = principalIn(trimmed(value));
      const subject = found !== undefined && isPrincipal(found) ? found : undefined;
      tally.count(subject);
      const header = { "x-forwarded-client-cert": value };
      const outcome = await sendCall(interceptor, { header, method });
      expect(problemsOf(outcome, { subject, secrets: [], hidden })).toEqual([]);
    });
    tally.check();
  });

  test("a signed token", async () => {
    const interceptor = internal(signedTokenTrust({ issuers }));
    const tally = createTally();
    const inputs = inputsOf("signed tokens of services", 2);
    await hold(inputs, internalToken, async ({ value, good }) => {
      const subject = subjectOf(value, good);
      tally.count(subject);
      const outcome = await sendCall(interceptor, {
        header: { "x-internal-token": value },
        method,
      });
      expect(problemsOf(outcome, { subject, secrets: secretsIn(value), hidden })).toEqual([]);
    });
    tally.check();
  });

  test("a signed token in Authorization", async () => {
    const interceptor = internal(signedTokenTrust({ issuers, header: "authorization" }));
    const tally = createTally();
    const inputs = inputsOf("signed tokens of services", 2);
    await hold(inputs, authorization(token), async ({ value, subject, secrets }) => {
      tally.count(subject);
      const outcome = await sendCall(interceptor, { header: { authorization: value }, method });
      expect(problemsOf(outcome, { subject, secrets })).toEqual([]);
    });
    tally.check();
  });

  test("the shared secret", async () => {
    const interceptor = internal(sharedSecretTrust({ secret: secrets }));
    const tally = createTally();
    await hold(inputsOf("shared secrets"), secret, async (value) => {
      const subject = isSecret(value) ? "internal" : undefined;
      tally.count(subject);
      const header = { "x-internal-secret": value };
      const outcome = await sendCall(interceptor, { header, method });
      const shown = [...secrets, ...secretsIn(value)];
      expect(problemsOf(outcome, { subject, secrets: shown, hidden })).toEqual([]);
    });
    tally.check();
  });

  test("any of them, where the first that is there decides", async () => {
    const interceptor = internal([
      meshIdentityTrust({ allowlist: principals.map((name) => ({ principal: name })) }),
      signedTokenTrust({ issuers }),
      sharedSecretTrust({ secret: secrets }),
    ]);
    const tally = createTally();
    const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const call = fc.record({
      mesh: optional(principal),
      signed: optional(internalToken),
      shared: optional(secret),
    });
    await hold(inputsOf("internal methods"), call, async ({ mesh, signed, shared }) => {
      let subject: string | undefined;
      if (mesh !== undefined) {
        subject = principals.find((name) => name === trimmed(mesh));
      } else if (signed !== undefined) {
        subject = subjectOf(signed.value, signed.good);
      } else if (shared !== undefined && isSecret(shared)) {
        subject = "internal";
      }
      tally.count(subject);
      const header = {
        ...(mesh !== undefined && { "x-forwarded-client-principal": mesh }),
        ...(signed && { "x-internal-token": signed.value }),
        ...(shared !== undefined && { "x-internal-secret": shared }),
        authorization: `Bearer ${secrets[0]}`,
      };
      const outcome = await sendCall(interceptor, { header, method });
      const shown = [...secrets, ...secretsIn(signed?.value ?? "", shared ?? "")];
      expect(problemsOf(outcome, { subject, secrets: shown, hidden })).toEqual([]);
    });
    tally.check();
  });
});
