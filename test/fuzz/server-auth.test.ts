import { generateKeyPairSync, randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  AUTH_HEADERS,
  createAuthInterceptor,
  createGatewayAuthInterceptor,
  createIntrospectionAuthInterceptor,
  createJwtAuthInterceptor,
  createServerAuth,
  createSessionAuthInterceptor,
  meshIdentityTrust,
  sharedSecretTrust,
  signedTokenTrust,
} from "../../src/server/index.js";
import { UserServicePolicies } from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { authorization, secretsIn } from "./authorization.js";
import { changed, headerText, trimmed } from "./change-text.js";
import { hold, inputsOf } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";
import { createTally } from "./tally.js";
import { anyToken } from "./tokens.js";

const issuer = "https://issuer.test/";
const audience = "https://api.test";
const newSecret = () => randomBytes(32).toString("base64url");
const secrets = {
  jwt: newSecret(),
  session: newSecret(),
  apiKey: newSecret(),
  gateway: newSecret(),
  client: newSecret(),
  shared: newSecret(),
};
const principal = "spiffe://cluster.local/ns/shop/sa/indexer";
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const identity = { roles: [], scopes: [], claims: {}, type: "test" };

const denials: unknown[] = [];
const { interceptors } = createServerAuth({
  policies: [UserServicePolicies],
  authenticate: [
    createSessionAuthInterceptor({
      cookie: "sid",
      verifySession: (token) => (token === secrets.session ? "session" : undefined),
      mapSession: (subject) => ({ ...identity, subject }),
    }),
    createAuthInterceptor({
      extractCredentials: ({ header }) => header.get("x-api-key"),
      verifyCredentials(key) {
        if (key !== secrets.apiKey) {
          throw new Error("unknown key");
        }
        return { ...identity, subject: "api key" };
      },
    }),
    createGatewayAuthInterceptor({ trustSource: { expectedValues: [secrets.gateway] } }),
    createJwtAuthInterceptor({
      secret: secrets.jwt,
      issuer,
      audience,
      dpop: { publicOrigins: [audience], nonces: true },
    }),
    // no token gets as far: the one before has it
    createIntrospectionAuthInterceptor({
      introspectionEndpoint: "https://issuer.test/introspect",
      clientId: "orders",
      clientSecret: secrets.client,
      fetch: () => Promise.reject(new Error("asked")),
    }),
  ],
  internal: [
    meshIdentityTrust({ allowlist: [{ principal }] }),
    signedTokenTrust({ issuers: { [issuer]: { publicKey, audience } } }),
    sharedSecretTrust({ secret: secrets.shared }),
  ],
  identifyOnPublic: true,
  onDenied: ({ error }) => denials.push(error),
});
const hidden = [
  ...Object.values(AUTH_HEADERS),
  "x-gateway-secret",
  "x-forwarded-client-principal",
  "x-internal-token",
  "x-internal-secret",
];

/** One credential of a call. */
interface Part {
  readonly headers: Readonly<Record<string, string>>;
  /** Whose it is. `undefined`: it is bad. */
  readonly subject: string | undefined;
  readonly isFor: "users" | "services";
}

/** The headers in which credentials are looked for, in the order of the authentications. */
const order = {
  users: ["cookie", "x-api-key", "x-gateway-secret", "authorization"],
  services: ["x-forwarded-client-principal", "x-internal-token", "x-internal-secret"],
} as const;

/** A credential that is one text in one header. */
function inHeader(
  name: string,
  good: string,
  subject: string,
  isFor: Part["isFor"],
  more: Readonly<Record<string, string>> = {},
): fc.Arbitrary<Part> {
  const value = fc.oneof(
    { weight: 2, arbitrary: fc.constant(good) },
    { weight: 2, arbitrary: changed(good) },
    { weight: 1, arbitrary: headerText },
  );
  return value.map((text) => ({
    headers: { [name]: text, ...more },
    subject: trimmed(text) === good ? subject : undefined,
    isFor,
  }));
}

const userToken = anyToken({ alg: "HS256", key: Buffer.from(secrets.jwt), issuer, audience });
const serviceToken = anyToken({ alg: "ES256", key: privateKey, issuer, audience });
const userPart = fc.oneof(
  authorization(userToken).map(
    ({ value, subject }): Part => ({ headers: { authorization: value }, subject, isFor: "users" }),
  ),
  inHeader("cookie", `sid=${secrets.session}`, "session", "users").filter(
    // other spellings of a cookie are the matter of another suite
    ({ headers, subject }) => subject !== undefined || !headers.cookie?.includes(secrets.session),
  ),
  inHeader("x-api-key", secrets.apiKey, "api key", "users"),
  inHeader("x-gateway-secret", secrets.gateway, "gateway", "users", {
    "x-auth-subject": "gateway",
  }),
);
const servicePart = fc.oneof(
  inHeader("x-forwarded-client-principal", principal, principal, "services"),
  inHeader("x-internal-secret", secrets.shared, "internal", "services"),
  serviceToken
    .filter(({ text }) => !/^bearer /i.test(trimmed(text)))
    .map(
      ({ text, good }): Part => ({
        headers: { "x-internal-token": text },
        subject: good.get(trimmed(text)),
        isFor: "services",
      }),
    ),
);

const noise = fc.dictionary(
  fc.constantFrom("dpop", "x_auth_subject", "x-auth-roles", "x-user", "x-http-method-override"),
  headerText,
  { maxKeys: 2 },
);
const { getProfile, whoAmI, deleteUser, reindex } = UserService.method;

const call = fc.record({
  parts: fc.oneof(
    { weight: 3, arbitrary: fc.oneof(userPart, servicePart).map((part) => [part]) },
    {
      weight: 2,
      arbitrary: fc.array(fc.oneof(userPart, servicePart), { maxLength: 4 }),
    },
  ),
  noise,
  method: fc.constantFrom(getProfile, whoAmI, whoAmI, whoAmI, deleteUser, reindex, reindex),
});

test("all authentications side by side let nobody pass but whose credential is good", async () => {
  const interceptor = interceptors[0] ?? (() => () => Promise.reject(new Error("none")));
  const tally = createTally();
  let refused = 0;
  await hold(inputsOf("all credentials side by side"), call, async ({ parts, noise, method }) => {
    const isFor = method === reindex ? "services" : "users";
    // a header that is there twice is that of the last
    const header = Object.assign({}, ...[{ headers: noise }, ...parts].map((p) => p.headers));
    const present = parts.filter(({ headers }) =>
      Object.entries(headers).every(([name, value]) => header[name] === value),
    );
    const good = present.flatMap((part) =>
      part.isFor === isFor && part.subject !== undefined ? [part.subject] : [],
    );
    const decided = decidingPart(isFor, present, header);
    const outcome = await sendCall(interceptor, { header, method });
    const shown = [
      ...Object.values(secrets),
      ...secretsIn(
        ...Object.entries(header).flatMap(([name, value]) =>
          name === "x-forwarded-client-principal" ? [] : [String(value)],
        ),
      ),
    ];
    const found = outcome.passed ? outcome.identity?.subject : undefined;
    let subject = decided?.subject;
    if ((decided === undefined || method === getProfile) && good.includes(found ?? "")) {
      subject = found;
    }
    if (method === deleteUser) {
      subject = undefined; // nobody has the role
    }
    tally.count(subject);
    const isAnonymous = method === getProfile && outcome.passed && found === undefined;
    const problems = problemsOf(outcome, { subject, secrets: shown, hidden });
    expect(isAnonymous ? [] : problems).toEqual([]);
    expect(method === getProfile && !outcome.passed).toBe(false);
    refused += outcome.passed ? 0 : 1;
  });
  tally.check();
  expect(denials).toHaveLength(refused);
});

/** The part that decides who calls. `undefined`: there is none, or it is not clear which. */
function decidingPart(
  isFor: Part["isFor"],
  parts: readonly Part[],
  header: Readonly<Record<string, string>>,
): Part | undefined {
  for (const name of order[isFor]) {
    // what stands in a cookie may be another one, and another scheme is for others
    const isUnclear =
      (name === "x-gateway-secret" && "x-auth-roles" in header) ||
      (name === "authorization" && !/^[ \t]*(bearer|dpop) /i.test(header[name] ?? ""));
    const part = parts.find(({ headers }) => name in headers);
    if (isUnclear || (name === "cookie" && part !== undefined && part.subject === undefined)) {
      return undefined;
    }
    if (part !== undefined) {
      return part;
    }
  }
  return undefined;
}
