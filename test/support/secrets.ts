import { inspect } from "node:util";
import { afterAll, afterEach, beforeEach, expect, vi } from "vitest";

/** What must stay secret, and what could show it. */
export interface SecretWatch {
  /** Notes a secret, and returns it. */
  hide(secret: string): string;
  /** Notes an error, event, credential or client that users may log, and returns it. */
  watch<T>(shown: T): T;
  /** What a promise rejects with, noted. Throws where it does not reject. */
  failure(promise: Promise<unknown>): Promise<Error>;
}

/**
 * Looks after each test of a file for its secrets in all that the test watched
 * and printed. What goes through the global `fetch`, or through `fetch` of the
 * result, to a token endpoint and back is among the secrets by itself: passwords,
 * proofs, assertions and tokens.
 */
export function watchSecrets(): SecretWatch {
  const secrets = new Set<string>();
  let watched: unknown[] = [];
  const methods = ["debug", "error", "info", "log", "trace", "warn"] as const;

  beforeEach(() => {
    for (const method of methods) {
      const print = console[method].bind(console);
      vi.spyOn(console, method).mockImplementation((...data: unknown[]) => {
        watched.push(data);
        print(...data);
      });
    }
    const { fetch } = globalThis;
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const headers = input instanceof Request ? input.headers : new Headers(init?.headers);
      for (const secret of secretsOfRequest(headers, String(init?.body ?? ""))) {
        secrets.add(secret);
      }
      const response = await fetch(input, init);
      // an endless body has no length
      if (response.headers.has("content-length") && init?.method === "POST") {
        for (const token of secretsOfAnswer(await response.clone().text())) {
          secrets.add(token);
        }
      }
      return response;
    });
  });

  afterEach(() => {
    vi.restoreAllMocks();
    const leaks = watched.flatMap((shown) => leaksIn(shown, secrets));
    watched = [];
    expect(leaks).toEqual([]);
  });

  // without secrets, nothing was watched at all
  afterAll(() => expect(secrets.size).toBeGreaterThan(0));

  return {
    hide(secret) {
      secrets.add(secret);
      return secret;
    },
    watch(shown) {
      watched.push(shown);
      return shown;
    },
    async failure(promise) {
      const error = await promise.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (!(error instanceof Error)) {
        throw new Error("it did not fail with an error");
      }
      watched.push(error);
      return error;
    },
  };
}

const secretParameters = [
  "client_secret",
  "client_assertion",
  "refresh_token",
  "subject_token",
  "actor_token",
];

function* secretsOfRequest(headers: Headers, body: string): Generator<string> {
  const [scheme, credentials = ""] = headers.get("authorization")?.split(" ") ?? [];
  const password = scheme === "Basic" ? atob(credentials).replace(/^[^:]*:/, "") : "";
  const parameters = new URLSearchParams(body);
  for (const secret of [
    credentials,
    password,
    decodeURIComponent(password.replaceAll("+", " ")),
    headers.get("dpop"),
    ...secretParameters.map((name) => parameters.get(name)),
  ]) {
    // shorter ones are found in any text
    if (secret && secret.length > 5) {
      yield secret;
    }
  }
}

function* secretsOfAnswer(text: string): Generator<string> {
  for (const [, token = ""] of text.matchAll(/"(?:access|refresh)_token":"([^"]{20,})"/g)) {
    yield token;
  }
}

/** The secrets that show in a value, by the first characters of the place. */
function leaksIn(shown: unknown, secrets: Iterable<string>): string[] {
  const texts = [
    String(shown),
    inspect(shown, { depth: 10, showHidden: true, maxStringLength: null, maxArrayLength: null }),
    JSON.stringify(shown) ?? "",
    shown instanceof Error ? `${shown.message} ${shown.stack}` : "",
  ];
  return [...secrets].filter((secret) => texts.some((text) => text.includes(secret)));
}
