import { describe, expect, test } from "vitest";
import { parseJsonObject } from "../../src/http-answer.js";
import { isAuthClientError } from "../../src/oauth/index.js";
import { fetchAnswer } from "../../src/oauth/limited-fetch.js";

const url = "https://as.test/token?secret=1";

/** What becomes of an answer. */
function answerTo(fetch: () => Promise<Response>, signal?: AbortSignal) {
  return fetchAnswer(fetch, url, signal ? { signal } : {});
}

/** A body that comes in these pieces, and says whether someone reads on. */
function streamOf(pieces: Iterable<Uint8Array>) {
  const state = { isCancelled: false, sent: 0 };
  const iterator = pieces[Symbol.iterator]();
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const { done, value } = iterator.next();
        if (done) {
          controller.close();
        } else {
          state.sent += value.byteLength;
          controller.enqueue(value);
        }
      },
      cancel() {
        state.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { body, state };
}

describe("an answer", () => {
  test("is read as UTF-8, also where a letter is in two pieces", async () => {
    const bytes = new TextEncoder().encode("größe 注文");
    const { body } = streamOf(Array.from(bytes, (byte) => Uint8Array.of(byte)));
    expect(await answerTo(async () => new Response(body, { status: 201 }))).toMatchObject({
      status: 201,
      ok: true,
      text: "größe 注文",
    });
  });

  test("without body is empty", async () => {
    const answer = await answerTo(async () => new Response(null, { status: 404 }));
    expect(answer).toMatchObject({ status: 404, ok: false, text: "" });
  });

  test("is asked for without following redirects", async () => {
    const seen: (RequestInit | undefined)[] = [];
    const fetch = async (_: string, init: RequestInit) => {
      seen.push(init);
      return new Response();
    };
    await fetchAnswer(fetch, url, { method: "POST", redirect: "follow" });
    expect(seen).toEqual([{ method: "POST", redirect: "manual" }]);
  });

  test("of more than 256 KiB is left at that", async () => {
    function* endless() {
      for (;;) {
        yield new Uint8Array(10_000);
      }
    }
    const { body, state } = streamOf(endless());
    await expect(answerTo(async () => new Response(body))).rejects.toMatchObject({
      name: "AuthClientError",
      code: "response_too_large",
      status: 200,
      message: "https://as.test/token answered with more than 256 KiB",
    });
    expect(state).toEqual({ isCancelled: true, sent: 270_000 });
  });

  test("that redirects is not read", async () => {
    const { body, state } = streamOf([new Uint8Array(10)]);
    await expect(answerTo(async () => new Response(body, { status: 302 }))).rejects.toMatchObject({
      code: "redirect",
      status: 302,
      message: "https://as.test/token redirects, which is not followed",
    });
    expect(state).toEqual({ isCancelled: true, sent: 0 });
  });
});

describe("no answer", () => {
  test.each([
    { name: "a code of the system", cause: { code: "ECONNREFUSED" }, reason: ": ECONNREFUSED" },
    { name: "a code of fetch", cause: { code: "UND_ERR_SOCKET" }, reason: ": UND_ERR_SOCKET" },
    { name: "text", cause: { code: "secret 1" }, reason: "" },
    { name: "lower case", cause: { code: "secret" }, reason: "" },
    { name: "a number", cause: { code: 1 }, reason: "" },
    { name: "nothing", cause: undefined, reason: "" },
  ])("says why, in a word, and shows neither query nor cause: $name", async ({ cause, reason }) => {
    const error = await answerTo(async () => {
      throw new TypeError("fetch failed with secret 1", { cause });
    }).catch((thrown: unknown) => thrown);
    expect(isAuthClientError(error)).toBe(true);
    expect(error).toMatchObject({
      code: "network_error",
      message: `no answer from https://as.test/token${reason}`,
    });
    expect(error).not.toHaveProperty("cause");
  });

  test.each([
    { name: "null", thrown: null },
    { name: "undefined", thrown: undefined },
    { name: "a text", thrown: "secret" },
  ])("is an error also where $name was thrown", async ({ thrown }) => {
    await expect(answerTo(() => Promise.reject(thrown))).rejects.toMatchObject({
      code: "network_error",
      message: "no answer from https://as.test/token",
    });
  });

  test("in time is a timeout, also where fetch or the body know no signal", async () => {
    const controller = new AbortController();
    const hangs = answerTo(() => new Promise(() => {}), controller.signal);
    const body = new ReadableStream();
    const stalls = answerTo(async () => new Response(body), controller.signal);
    const late = answerTo(() => new Promise(() => {}), AbortSignal.abort());
    controller.abort();
    for (const answer of [hangs, stalls, late]) {
      await expect(answer).rejects.toMatchObject({
        code: "timeout",
        message: "no answer from https://as.test/token in time",
      });
    }
  });
});

test.each([
  { text: '{"a":1}', want: { a: 1 } },
  { text: "[1]", want: undefined },
  { text: "null", want: undefined },
  { text: '"a"', want: undefined },
  { text: "1", want: undefined },
  { text: "", want: undefined },
  { text: "<html>", want: undefined },
])("parseJsonObject of $text is $want", ({ text, want }) => {
  expect(parseJsonObject(text)).toEqual(want);
});

test("parseJsonObject makes no prototype of __proto__", () => {
  const parsed = parseJsonObject('{"__proto__":{"access_token":"polluted"}}');
  expect(parsed?.access_token).toBeUndefined();
  expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
});
