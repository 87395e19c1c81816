import { create, type DescMethodUnary } from "@bufbuild/protobuf";
import { createContextValues, type Interceptor, type UnaryResponse } from "@connectrpc/connect";
import { type AuthContext, authContextKey } from "../../src/server/index.js";
import { UserService } from "../gen/acme/user/v1/user_pb.js";

/** A call as it comes to the interceptors of a server. */
export interface SentCall {
  readonly header: HeadersInit;
  /** Default: `UserService.WhoAmI`. */
  readonly method?: DescMethodUnary;
  /** Default: the URL of the method on `https://api.test`. */
  readonly url?: string;
  readonly requestMethod?: string;
}

/** What came of a call: the handler ran, or something was thrown. */
export type Outcome =
  | {
      readonly passed: true;
      readonly identity: AuthContext | undefined;
      /** Headers as the handler sees them. */
      readonly header: Headers;
      readonly responseHeader: Headers;
    }
  | { readonly passed: false; readonly error: unknown };

/** Where calls go that say nothing else. */
export const whoAmIUrl = "https://api.test/acme.user.v1.UserService/WhoAmI";

/** Runs an interceptor before a handler that only looks. */
export async function sendCall(interceptor: Interceptor, call: SentCall): Promise<Outcome> {
  const { method = UserService.method.whoAmI, requestMethod = "POST" } = call;
  const seen: { identity?: AuthContext | undefined; header?: Headers } = {};
  const service = method.parent;
  const handler = interceptor(async (req): Promise<UnaryResponse> => {
    seen.header = req.header;
    seen.identity = req.contextValues.get(authContextKey);
    return {
      stream: false,
      service,
      method,
      header: new Headers(),
      trailer: new Headers(),
      message: create(method.output),
    };
  });
  try {
    const { header: responseHeader } = await handler({
      stream: false,
      service,
      method,
      requestMethod,
      url: call.url ?? `https://api.test/${service.typeName}/${method.name}`,
      signal: new AbortController().signal,
      header: new Headers(call.header),
      contextValues: createContextValues(),
      message: create(method.input),
    });
    const { identity, header = new Headers() } = seen;
    return { passed: true, identity, header, responseHeader };
  } catch (error) {
    return { passed: false, error };
  }
}
