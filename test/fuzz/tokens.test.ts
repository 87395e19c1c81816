import { generateKeyPairSync, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createJwtAuthInterceptor } from "../../src/server/index.js";
import { authorization } from "./authorization.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import { anyToken, type TokenSigner } from "./tokens.js";

const issuer = "https://issuer.test/";
const audience = "https://api.test";

describe("a token that is checked with", () => {
  const secret = randomBytes(48).toString("base64url");
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const bySecret: TokenSigner = { alg: "HS256", key: Buffer.from(secret), issuer, audience };
  const byKey: TokenSigner = {
    alg: "ES256",
    key: privateKey,
    issuer,
    audience,
    publicTexts: [
      publicKey.export({ type: "spki", format: "pem" }),
      publicKey.export({ type: "spki", format: "der" }),
      JSON.stringify(publicKey.export({ format: "jwk" })),
    ],
  };

  test.each([
    { suite: "tokens by a secret", signer: bySecret, keys: { secret } },
    { suite: "tokens by a public key", signer: byKey, keys: { publicKey } },
  ] as const)(`$suite`, async ({ suite, signer, keys }) => {
    const interceptor = createJwtAuthInterceptor({ ...keys, issuer, audience });
    const tally = createTally();
    await hold(inputsOf(suite), authorization(anyToken(signer)), async (presented) => {
      const { subject, value, secrets } = presented;
      tally.count(subject);
      const outcome = await sendCall(interceptor, { header: { authorization: value } });
      expect(problemsOf(outcome, { subject, secrets: [...secrets, secret] })).toEqual([]);
    });
    tally.check();
  });
});
void fc;
