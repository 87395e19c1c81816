import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { getAuthContext } from "../../src/server/index.js";
import { MatrixService } from "../gen/acme/matrix/v1/matrix_pb.js";

/** A call, as its handler sees it. */
export interface SeenCall {
  readonly method: string;
  /** `nobody` where nobody was authenticated. */
  readonly subject: string;
  readonly roles: readonly string[];
  readonly header: Headers;
}

/** Serves the methods of MatrixService that not everybody is refused, and tells of each call what its handler sees. */
export function matrixRoutes(tell: (call: SeenCall) => void): (router: ConnectRouter) => void {
  const look = ({ method, requestHeader }: HandlerContext) => {
    const { subject = "nobody", roles = [] } = getAuthContext() ?? {};
    tell({ method: method.name, subject, roles, header: new Headers(requestHeader) });
  };
  const unary = (_: unknown, context: HandlerContext) => {
    look(context);
    return {};
  };
  async function* server(_: unknown, context: HandlerContext) {
    look(context);
    yield {};
  }
  async function client(messages: AsyncIterable<unknown>, context: HandlerContext) {
    for await (const _message of messages) {
      // answered at the end
    }
    look(context);
    return {};
  }
  async function* bidi(messages: AsyncIterable<unknown>, context: HandlerContext) {
    for await (const _message of messages) {
      yield {};
    }
    look(context);
  }
  return (router) => {
    router.service(MatrixService, {
      publicUnary: unary,
      publicServer: server,
      publicClient: client,
      publicBidi: bidi,
      internalUnary: unary,
      internalServer: server,
      internalClient: client,
      internalBidi: bidi,
      requiresUnary: unary,
      requiresServer: server,
      requiresClient: client,
      requiresBidi: bidi,
      authenticatedUnary: unary,
      authenticatedServer: server,
      authenticatedClient: client,
      authenticatedBidi: bidi,
    });
  };
}
