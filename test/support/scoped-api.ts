import http from "node:http";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { decodeJwt } from "jose";
import { listenOnLoopback } from "../../example/loopback.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

/** A call that came, and what its token is good for. */
export interface ScopedCall {
  readonly method: string;
  readonly token: string;
  /** The `scope` claim. */
  readonly scope: string;
}

/** A server of UserService that wants scopes. */
export interface ScopedApi {
  readonly baseUrl: string;
  readonly calls: ScopedCall[];
  /** The scopes that a method wants, by its name in TypeScript. Others want none. */
  readonly wanted: Map<string, readonly string[]>;
  /** Tokens that are answered with `Unauthenticated`. */
  readonly revoked: Set<string>;
  close(): Promise<void>;
}

/** Starts a server that reads tokens, without a look at their signature. */
export async function startScopedApi(): Promise<ScopedApi> {
  const calls: ScopedCall[] = [];
  const wanted = new Map<string, readonly string[]>();
  const revoked = new Set<string>();
  const answer = (_: unknown, { method, requestHeader }: HandlerContext) => {
    const token = requestHeader.get("authorization")?.replace(/^Bearer /, "") ?? "";
    const scope = String(decodeJwt(token).scope ?? "");
    calls.push({ method: method.localName, token, scope });
    if (revoked.has(token)) {
      throw new ConnectError("token revoked", Code.Unauthenticated, {
        "www-authenticate": 'Bearer error="invalid_token"',
      });
    }
    const scopes = wanted.get(method.localName) ?? [];
    if (scopes.some((name) => !scope.split(" ").includes(name))) {
      throw new ConnectError("scope missing", Code.PermissionDenied, {
        "www-authenticate": `Bearer error="insufficient_scope", scope="${scopes.join(" ")}"`,
      });
    }
    return {};
  };
  const server = http.createServer(
    connectNodeAdapter({
      routes: ({ service }) =>
        service(UserService, {
          getProfile: answer,
          deleteUser: answer,
          whoAmI: answer,
          reindex: answer,
        }),
    }),
  );
  const { baseUrl, close } = await listenOnLoopback(server);
  return { baseUrl, calls, wanted, revoked, close };
}
