import http2 from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { listenOnLoopback } from "../../example/loopback.js";
import {
  createJwtAuthInterceptor,
  createRedisReplayStore,
  requireAuthContext,
} from "../../src/server/index.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";
import { connectRedisClient, redisPackages } from "../support/redis-clients.js";
import { testSecret } from "../support/test-token.js";

// One replica of an API, as a process of its own: arguments are the package of
// the client, and port and password of Redis. It sends its URL to its parent,
// and ends with it.
const [name, port, password = ""] = process.argv.slice(2);
const client = redisPackages.find((known) => known === name);
if (client === undefined) {
  throw new Error(`no client of ${name}`);
}
const connected = await connectRedisClient(client, { port: Number(port), password });
const authenticate = createJwtAuthInterceptor({
  secret: testSecret,
  dpop: {
    publicOrigins: ["https://api.test"],
    replayStore: createRedisReplayStore(connected.client),
  },
});
const handler = connectNodeAdapter({
  interceptors: [authenticate],
  routes: ({ service }) => {
    service(UserService, { whoAmI: () => ({ subject: requireAuthContext().subject }) });
  },
});
const { baseUrl } = await listenOnLoopback(http2.createServer(handler));
process.once("disconnect", () => process.exit());
process.send?.(baseUrl);
