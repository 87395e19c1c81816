import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Listening } from "../../example/loopback.js";
import { type KeyServer, startKeyServer } from "../support/key-server.js";
import { createIssuerKey, type IssuerKey, keySetOf, tokenBy } from "../support/key-sets.js";
import { now } from "../support/signed-tokens.js";
import { protocols } from "../wire/protocols.js";
import { callWith, startJwksApi } from "./jwks-api.js";

const first = createIssuerKey("1");
const second = createIssuerKey("2");
const third = createIssuerKey("3");
const minuteMs = 60_000;

describe.each(protocols)("over $name, keys that rotate", (protocol) => {
  let keyServer: KeyServer;
  let api: Listening;
  beforeEach(async () => {
    vi.useFakeTimers({ now: now * 1000, toFake: ["Date"] });
    keyServer = await startKeyServer();
    keyServer.answerWith(keySetOf(first));
    api = await startJwksApi(protocol, { jwksUri: `${keyServer.baseUrl}/jwks` });
  });
  afterEach(async () => {
    await api.close();
    await keyServer.close();
    vi.useRealTimers();
  });

  /** Ten calls at once. The result is what came of them. */
  async function call(key: IssuerKey): Promise<Set<string>> {
    const outcomes = Array.from({ length: 10 }, () =>
      callWith(tokenBy(key), api, protocol).then(
        () => "ok",
        (error: unknown) => Code[ConnectError.from(error).code],
      ),
    );
    return new Set(await Promise.all(outcomes));
  }
  const ok = new Set(["ok"]);

  test("with an overlap fail no call", async () => {
    for (const { published, signing } of [
      { published: [first], signing: first },
      { published: [first, second], signing: first },
      { published: [first, second], signing: second },
      { published: [second], signing: second },
      { published: [second, third], signing: second },
      { published: [second, third], signing: third },
      { published: [third], signing: third },
    ]) {
      keyServer.answerWith(keySetOf(...published));
      for (let minute = 0; minute < 12; minute += 3) {
        expect(await call(signing)).toEqual(ok);
        vi.setSystemTime(Date.now() + 3 * minuteMs);
      }
    }
    expect(keyServer.requests.length).toBeLessThan(15);
  });

  test("without one are found with one fetch", async () => {
    expect(await call(first)).toEqual(ok);
    keyServer.answerWith(keySetOf(second));
    vi.setSystemTime(Date.now() + minuteMs);
    expect(await call(second)).toEqual(ok);
    expect(await call(first)).toEqual(new Set(["Unauthenticated"]));
    expect(keyServer.requests).toHaveLength(2);
  });
});
