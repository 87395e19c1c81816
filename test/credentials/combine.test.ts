import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  Auth,
  AuthError,
  type AuthProvider,
  type AuthRequest,
  type CredentialSource,
  type Credentials,
  cachedAuth,
  firstAvailable,
  passwordLogin,
  together,
} from "../../src/index.js";
import { authRequest } from "../support/auth-request.js";
import { useFakeTime, useRealTime } from "../support/fake-time.js";
import { createLoginServer } from "../support/login-server.js";
import { createUserApi } from "../support/user-api.js";

beforeEach(() => useFakeTime(new Date("2026-01-01T00:00:00Z").getTime()));
afterEach(useRealTime);

const key = Auth.header("x-api-key", "k");
const down = () => Promise.reject(new ConnectError("down", Code.Unavailable));
const refuse = () => Promise.reject(new ConnectError("no", Code.Unauthenticated));

/** A source that keeps what it is asked and told. */
function recording(...answers: [Auth, ...Auth[]]) {
  const asked: AuthRequest[] = [];
  const told: unknown[][] = [];
  const source: CredentialSource = {
    getAuth(request) {
      asked.push(request);
      return answers[asked.length - 1] ?? answers[0];
    },
    rejected(...args) {
      told.push(args);
    },
  };
  return { asked, told, source };
}

describe("firstAvailable", () => {
  test.each<{ name: string; first: Credentials }>([
    { name: "is down", first: down },
    { name: "refuses", first: refuse },
    { name: "throws", first: () => JSON.parse("{") },
    { name: "is none", first: () => Auth.none() },
    { name: "is several that are none", first: () => Auth.all(Auth.none()) },
    { name: "is nothing", first: () => JSON.parse("null") },
    { name: "is empty", first: async () => Auth.bearer("") },
    { name: "is a password", first: () => Auth.basic("alice", "p") },
    { name: "is for a single call", first: cachedAuth(refuse) },
  ])("goes on to the next where the first $name", async ({ first }) => {
    const never = vi.fn(() => key);
    const api = createUserApi();
    await api.clientWith(firstAvailable(first, Auth.bearer("t"), never)).whoAmI({});
    expect(api.arrived).toEqual(["Bearer t"]);
    expect(never).not.toHaveBeenCalled();
  });

  test("takes the first again as soon as it is there", async () => {
    const provide = vi.fn<AuthProvider>(() => Auth.bearer("user"));
    provide.mockReturnValueOnce(Auth.none());
    const api = createUserApi();
    const client = api.clientWith(firstAvailable(provide, Auth.bearer("guest")));
    await client.whoAmI({});
    await client.whoAmI({});
    expect(api.arrived).toEqual(["Bearer guest", "Bearer user"]);
  });

  test.each<{ name: string; all: [Credentials, ...Credentials[]]; code: string; message: string }>([
    {
      name: "one is down",
      all: [refuse, down, () => Auth.none()],
      code: "credentials_unavailable",
      message:
        "no credential is available (1: the credential could not be obtained; 2: the credential could not be obtained; 3: none)",
    },
    {
      name: "all are missing",
      all: [() => Auth.none(), Auth.none()],
      code: "credentials_missing",
      message: "no credential is available (1: none; 2: none)",
    },
    {
      name: "one is refused, one empty",
      all: [
        () => Promise.reject(new AuthError("credentials_failed", "bad password")),
        () => Auth.jwt(""),
      ],
      code: "credentials_failed",
      message: "no credential is available (1: bad password; 2: the token is empty)",
    },
  ])("lists the reasons where $name", async ({ all, code, message }) => {
    const api = createUserApi();
    const error = await api
      .clientWith(firstAvailable(...all))
      .whoAmI({})
      .catch(ConnectError.from);
    expect(error).toMatchObject({
      code: code === "credentials_unavailable" ? Code.Unavailable : Code.Unauthenticated,
      rawMessage: message,
      cause: { name: "AuthError", code, message, sent: false },
    });
    const { cause } = (error as ConnectError).cause as AuthError;
    expect(cause).toBeInstanceOf(AggregateError);
    expect((cause as AggregateError).errors).toEqual(all.map(() => expect.any(AuthError)));
    expect(api.arrived).toEqual([]);
  });

  test("ends at once where the call is aborted, and asks no other", async () => {
    const next = vi.fn(() => key);
    const controller = new AbortController();
    const call = createUserApi()
      .clientWith(firstAvailable(() => new Promise<Auth>(() => {}), next))
      .whoAmI({}, { signal: controller.signal })
      .catch(ConnectError.from);
    await vi.advanceTimersByTimeAsync(0);
    controller.abort();
    expect(await call).toMatchObject({ code: Code.Canceled });
    expect(next).not.toHaveBeenCalled();
  });

  test("throws why it was aborted, although another one would be there", async () => {
    const controller = new AbortController();
    const auth = firstAvailable(() => new Promise<Auth>(() => {}), key).getAuth({
      ...authRequest(),
      signal: controller.signal,
    });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(auth).rejects.toBe(reason);
  });

  test("tells the source of a refused credential, and asks it for another one", async () => {
    const [first, second] = [Auth.bearer("old"), Auth.bearer("new")];
    const absent = recording(Auth.none());
    const owner = recording(first, second);
    const other = recording(key);
    const api = createUserApi();
    api.revoked.add("Bearer old");
    await api.clientWith(firstAvailable(absent.source, owner.source, other.source)).whoAmI({});
    expect(api.arrived).toEqual(["Bearer old", "Bearer new"]);
    expect(owner.told).toEqual([[first, expect.objectContaining({ scheme: "bearer" })]]);
    expect(owner.asked[1]).toMatchObject({
      reason: "rejected",
      challenge: { scheme: "bearer" },
    });
    expect(owner.asked[1]?.rejected).toBe(first);
    // to the others it is a call like any
    expect(absent.asked[1]).toMatchObject({ reason: "request" });
    expect(absent.asked[1]).not.toHaveProperty("rejected");
    expect(absent.asked[1]).not.toHaveProperty("challenge");
    expect([absent.told, other.told, other.asked]).toEqual([[], [], []]);
  });

  test.each<{ name: string; first: () => Credentials }>([
    { name: "is constant", first: () => Auth.bearer("old") },
    { name: "makes the same one again", first: () => () => Auth.bearer("old") },
    {
      name: "has none left",
      first:
        () =>
        ({ reason }) =>
          reason === "request" ? Auth.bearer("old") : Auth.none(),
    },
    {
      name: "fails",
      first:
        () =>
        ({ reason }) =>
          reason === "request" ? Auth.bearer("old") : down(),
    },
  ])("goes on to the next where the refused one $name", async ({ first }) => {
    const api = createUserApi();
    api.revoked.add("Bearer old");
    const client = api.clientWith(firstAvailable(first(), Auth.bearer("next")));
    await client.whoAmI({});
    expect(api.arrived).toEqual(["Bearer old", "Bearer next"]);
  });

  test("leaves the server's answer where there is nothing new at all", async () => {
    const api = createUserApi();
    api.revoked.add("Bearer old");
    const client = api.clientWith(firstAvailable(Auth.bearer("old"), () => Auth.none()));
    expect(await client.whoAmI({}).catch(ConnectError.from)).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: "token refused",
      cause: { code: "credentials_refused", message: "the server refused the credential" },
    });
    expect(api.arrived).toEqual(["Bearer old"]);
  });
});

describe("together", () => {
  test("sends all of them, and asks all at once", async () => {
    const order: string[] = [];
    const source = (name: string, auth: Auth) => async () => {
      order.push(`ask ${name}`);
      await Promise.resolve();
      order.push(`have ${name}`);
      return auth;
    };
    const credentials = together(source("key", key), source("token", Auth.bearer("t")), () =>
      Auth.none(),
    );
    const api = createUserApi();
    await api.clientWith(credentials).whoAmI({});
    expect(api.arrived).toEqual(["Bearer t"]);
    expect(order).toEqual(["ask key", "ask token", "have key", "have token"]);
    expect(await credentials.getAuth(authRequest())).toEqual(
      Auth.all(key, Auth.bearer("t"), Auth.none()),
    );
  });

  test("returns the same object for the same parts", async () => {
    const tokens = [Auth.bearer("a"), Auth.bearer("b")];
    let n = 0;
    const { getAuth } = together(key, () => tokens[n++ % 2] ?? key);
    const answers = [];
    for (let i = 0; i < 4; i++) {
      answers.push(await getAuth(authRequest()));
    }
    expect(answers[2]).toBe(answers[0]);
    expect(answers[3]).toBe(answers[1]);
    expect(answers[1]).not.toBe(answers[0]);
  });

  test("fails the call where one of them fails", async () => {
    const api = createUserApi();
    const error = await api.clientWith(together(key, down)).whoAmI({}).catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "the credential could not be obtained",
      cause: { code: "credentials_unavailable", sent: false },
    });
    expect(api.arrived).toEqual([]);
  });

  test("tells each source its part of what was refused, and asks it for another one", async () => {
    const part = { old: Auth.bearer("old"), new: Auth.bearer("new") };
    const token = recording(part.old, part.new);
    const apiKey = recording(key);
    const broken = { getAuth: () => Auth.none(), rejected: () => JSON.parse("{") };
    const api = createUserApi();
    api.revoked.add("Bearer old");
    await api.clientWith(together(broken, apiKey.source, token.source)).whoAmI({});
    expect(api.arrived).toEqual(["Bearer old", "Bearer new"]);
    const challenge = expect.objectContaining({ scheme: "bearer" });
    expect([apiKey.told, token.told]).toEqual([[[key, challenge]], [[part.old, challenge]]]);
    expect(token.asked[1]).toMatchObject({ reason: "rejected" });
    expect(token.asked[1]?.rejected).toBe(part.old);
    expect(apiKey.asked[1]?.rejected).toBe(key);
  });
});

test("combinations can be combined, and hold what is cached", async () => {
  const { login, refresh } = createLoginServer();
  const user = passwordLogin({ authProvider: Auth.basic("alice", "p"), login, refresh });
  const api = createUserApi();
  const client = api.clientWith(
    firstAvailable(() => Auth.none(), together(key, user), Auth.bearer("guest")),
  );
  await Promise.all(Array.from({ length: 10 }, () => client.whoAmI({})));
  api.revoked.add("Bearer token-1");
  await client.whoAmI({});
  expect(api.arrived).toEqual([...Array(11).fill("Bearer token-1"), "Bearer token-2"]);
  expect([login.mock.calls.length, refresh.mock.calls.length]).toEqual([1, 1]);
});

test.each<{ name: string; make: () => unknown; message: string }>([
  {
    name: "firstAvailable without credentials",
    make: () => firstAvailable(),
    message: "firstAvailable takes at least one credential",
  },
  {
    name: "together without credentials",
    make: () => together(),
    message: "together takes at least one credential",
  },
  {
    name: "a constant credential that cannot be sent",
    make: () => firstAvailable(key, Auth.bearer("")),
    message: "firstAvailable: credential 2: the token is empty",
  },
  {
    name: "what is no credential",
    make: () => together(key, JSON.parse("null")),
    message: "together: credential 2: not a credential, such as Auth.jwt(token)",
  },
  {
    name: "two constant credentials for one header",
    make: () => together(Auth.bearer("a"), Auth.bearer("b")),
    message: 'together: two credentials use the header "authorization"',
  },
])("a combination rejects $name", ({ make, message }) => {
  expect(make).toThrow(new TypeError(message));
});
