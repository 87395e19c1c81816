import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { Credentials, TransportOptions } from "../../src/index.js";
import { inMemory } from "../../src/testing/index.js";
import {
  createUserServiceClient,
  type UserServiceUserClient,
} from "../gen/acme/user/v1/user_auth.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

/** UserService in this process, which refuses some tokens. */
export interface UserApi {
  /** What came as `Authorization`, call by call. */
  readonly arrived: (string | null)[];
  /** What is answered with `Unauthenticated`. */
  readonly revoked: Set<string | null>;
  readonly createTransport: (options: TransportOptions) => Transport;
  /** A client with a transport of its own. */
  clientWith(credentials: Credentials): UserServiceUserClient;
}

export function createUserApi(): UserApi {
  const arrived: (string | null)[] = [];
  const revoked = new Set<string | null>();
  const answer = (_: unknown, { requestHeader }: { requestHeader: Headers }) => {
    const authorization = requestHeader.get("authorization");
    arrived.push(authorization);
    if (revoked.has(authorization)) {
      throw new ConnectError("token refused", Code.Unauthenticated, {
        "www-authenticate": 'Bearer error="invalid_token"',
      });
    }
    return {};
  };
  const createTransport = inMemory(({ service }) => {
    service(UserService, { deleteUser: answer, whoAmI: answer });
  });
  return {
    arrived,
    revoked,
    createTransport,
    clientWith: (credentials) =>
      createUserServiceClient(createTransport, { baseUrl: "https://api.test" }, { credentials }),
  };
}
