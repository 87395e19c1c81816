import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Auth, type AuthEvent, cachedAuth } from "../../src/index.js";
import { createMatrixClient, protocols } from "./protocols.js";
import { startRecordingServer } from "./recording-server.js";

// the others open a thousand connections
const multiplexed = protocols.filter(({ name }) => /^(?:Connect|gRPC) over HTTP\/2$/.test(name));

test.each(multiplexed)(
  "no call over $name fails where every token is revoked while 1,000 run",
  async (protocol) => {
    let arrivals = 0;
    const server = await startRecordingServer({
      httpVersion: protocol.httpVersion,
      refuses: (authorization) => ++arrivals > 300 && authorization === "Bearer token-1",
    });
    let asked = 0;
    const events: AuthEvent["type"][] = [];
    const credentials = cachedAuth(
      async () => {
        const token = Auth.bearer(`token-${++asked}`);
        await sleep(20);
        return token;
      },
      { onEvent: ({ type }) => events.push(type) },
    );
    const client = createMatrixClient(protocol, { baseUrl: server.baseUrl }, { credentials });
    await Promise.all(Array.from({ length: 1000 }, () => client.requiresUnary({})));
    await server.close();

    expect(asked).toBe(2);
    const sentWith = (n: number) =>
      server.requests.filter(({ credentials: [header] }) => header?.[1] === `Bearer token-${n}`)
        .length;
    const refused = events.filter((type) => type === "token_refused").length;
    expect(refused).toBeGreaterThan(0);
    expect(sentWith(1)).toBe(300 + refused);
    expect(sentWith(2)).toBe(700);
    expect(events.filter((type) => type === "retry")).toHaveLength(refused);
  },
);
