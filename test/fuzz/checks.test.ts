import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { authContextKey } from "../../src/server/index.js";
import { split, totalInputs } from "./inputs.js";
import { problemsOf } from "./problems-of.js";
import { sendCall } from "./send-call.js";

const secret = "the-secret-of-the-caller";

/** An authentication with a fault. */
const refusing =
  (error: unknown): Interceptor =>
  () =>
  () =>
    Promise.reject(error);
const accepting =
  (subject: string): Interceptor =>
  (next) =>
  (req) => {
    req.contextValues.set(authContextKey, { subject, roles: [], scopes: [], claims: {}, type: "" });
    return next(req);
  };
const refusal = (metadata?: HeadersInit, cause?: unknown) =>
  new ConnectError("invalid token", Code.Unauthenticated, metadata, undefined, cause);

test.each<{ name: string; interceptor: Interceptor; subject?: string; problem: RegExp }>([
  { name: "acceptance", interceptor: accepting("eve"), problem: /^accepted, as "eve"$/ },
  {
    name: "acceptance as somebody else",
    interceptor: accepting("eve"),
    subject: "alice",
    problem: /^accepted as "eve" and not "alice"$/,
  },
  {
    name: "acceptance without an identity",
    interceptor: (next) => (req) => next(req),
    subject: "alice",
    problem: /^accepted as undefined and not "alice"$/,
  },
  {
    name: "refusal of a good credential",
    interceptor: refusing(refusal()),
    subject: "alice",
    problem: /^refused, though the credential is good/,
  },
  {
    name: "crash",
    interceptor: refusing(new TypeError("oops")),
    problem: /^no ConnectError: Type/,
  },
  { name: "rejection with nothing", interceptor: refusing(undefined), problem: /^no ConnectError/ },
  {
    name: "other code",
    interceptor: refusing(new ConnectError("invalid token", Code.Internal)),
    problem: /^the client is told "invalid token" with Internal$/,
  },
  {
    name: "other message",
    interceptor: refusing(new ConnectError("bad signature", Code.Unauthenticated)),
    problem: /^the client is told "bad signature" with Unauthenticated$/,
  },
  {
    name: "secret in the cause",
    interceptor: refusing(refusal({}, new Error("x", { cause: new Error(`no ${secret}`) }))),
    problem: /^a secret shows: the-secret/,
  },
  {
    name: "line break in the reason",
    interceptor: refusing(refusal({}, new Error("a\nb"))),
    problem: /^the reason writes lines of its own/,
  },
  {
    name: "secret in a property",
    interceptor: refusing(refusal({}, Object.assign(new Error("x"), { request: { secret } }))),
    problem: /^a secret shows: the-secret/,
  },
  {
    name: "secret in the metadata",
    interceptor: refusing(refusal({ "www-authenticate": `Bearer scope="${secret}"` })),
    problem: /^a secret shows: the-secret/,
  },
  {
    name: "header of another name",
    interceptor: refusing(refusal({ "x-reason": "expired" })),
    problem: /^not a header that we send: x-reason/,
  },
  {
    name: "challenge with a parameter of its own",
    interceptor: refusing(refusal({ "www-authenticate": 'Bearer error_description="a"' })),
    problem: /^not a header that we send: www-authenticate/,
  },
  {
    name: "challenge that ends early",
    interceptor: refusing(refusal({ "www-authenticate": 'Bearer scope="a"b"' })),
    problem: /^not a header that we send: www-authenticate/,
  },
])("the checks notice: $name", async ({ interceptor, subject, problem }) => {
  const outcome = await sendCall(interceptor, { header: { "x-auth-subject": "eve" } });
  const problems = problemsOf(outcome, { subject, secrets: [secret] });
  expect(problems).toContainEqual(expect.stringMatching(problem));
});

test("the checks notice an identity header that the handler sees", async () => {
  const outcome = await sendCall(accepting("eve"), { header: { x_auth_subject: "eve" } });
  const problems = problemsOf(outcome, { subject: "eve", secrets: [secret] });
  expect(problems).toEqual(["the handler sees x_auth_subject"]);
});

test(`${totalInputs} inputs are split: ${[...split].map((part) => part.join(" ")).join(", ")}`, () => {
  const sum = [...split.values()].reduce((total, part) => total + part, 0);
  expect(Math.abs(sum - totalInputs)).toBeLessThan(split.size);
});
