import type { IncomingMessage, ServerResponse } from "node:http";
import { ConnectError } from "@connectrpc/connect";
import type { ServicePolicies } from "../policy/method-policy.js";
import type { IncomingCall } from "./authenticate.js";
import { createFindMethod } from "./gate-methods.js";
import { type NodeRequest, readHeader, readPath, readUrl } from "./gate-node-call.js";
import { type NodeResponse, sendRefusal } from "./gate-send-refusal.js";
import type { GatedCalls } from "./gated-calls.js";
import type { Admission, Gatekeeper } from "./gatekeeper.js";
import { type RefusalResponse, writeRefusal } from "./write-refusal.js";

/** Puts a gate before a handler. See `ServerAuth.gate`. */
export interface HttpGate {
  <
    Req extends NodeRequest = IncomingMessage,
    Res extends NodeResponse = ServerResponse,
    Rest extends readonly unknown[] = [],
  >(
    handler: (req: Req, res: Res, ...rest: Rest) => unknown,
  ): (req: Req, res: Res, ...rest: Rest) => void | Promise<void>;
  <Req extends Request, Rest extends readonly unknown[]>(
    handler: (request: Req, ...rest: Rest) => Response | Promise<Response>,
  ): (request: Req, ...rest: Rest) => Response | Promise<Response>;
}

/** What a gate decides with. */
export interface HttpGateOptions {
  readonly admit: Gatekeeper["admit"];
  readonly gatedCalls: GatedCalls;
  readonly policies: readonly ServicePolicies[];
  readonly exempt: readonly string[];
}

/** Makes the gate of one `createServerAuth`. */
export function createHttpGate(options: HttpGateOptions): HttpGate {
  const { admit, gatedCalls } = options;
  const findMethod = createFindMethod(options.policies, options.exempt);
  const find = (pathname: string | undefined) =>
    pathname === undefined ? undefined : findMethod(pathname);
  /** Whether a request may be a call: nothing runs for the other HTTP methods. */
  const isCall = (requestMethod: string | undefined) =>
    requestMethod === "POST" || requestMethod === "GET";

  /** Goes on with a call that may pass, or refuses it. */
  async function judge(
    call: IncomingCall,
    goOn: () => unknown,
    refuse: (refusal: RefusalResponse) => unknown,
  ): Promise<unknown> {
    let admission: Admission;
    try {
      admission = await admit(call, gatedCalls.changedIn(call));
    } catch (error) {
      return refuse(writeRefusal(ConnectError.from(error), call));
    }
    return gatedCalls.run(call, admission, goOn);
  }

  function gateNode(req: NodeRequest, res: NodeResponse, goOn: () => unknown): unknown {
    const found = find(readPath(req));
    if (found === undefined) {
      return goOn();
    }
    const url = readUrl(req);
    if (url === undefined) {
      return sendRefusal(req, res, badRequest());
    }
    if (found.isOpen || !isCall(req.method)) {
      return goOn();
    }
    const gone = new AbortController();
    const call: IncomingCall = {
      header: readHeader(req),
      url,
      requestMethod: `${req.method}`,
      method: found.method,
      signal: gone.signal,
    };
    if (gatedCalls.has(call)) {
      return goOn();
    }
    const onClose = () => gone.abort();
    const unlessGone = (then: () => unknown) => {
      res.off("close", onClose);
      return gone.signal.aborted ? undefined : then();
    };
    res.once("close", onClose);
    return judge(
      call,
      () => unlessGone(goOn),
      (refusal) => unlessGone(() => sendRefusal(req, res, refusal)),
    );
  }

  function gateFetch(request: Request, goOn: () => unknown): unknown {
    const { url, method: requestMethod, headers, signal } = request;
    const found = find(URL.canParse(url) ? new URL(url).pathname : undefined);
    if (found === undefined || found.isOpen || !isCall(requestMethod)) {
      return goOn();
    }
    // Handlers may change the header: what was judged stays what it was.
    const header = new Headers(headers);
    const call: IncomingCall = { header, url, requestMethod, method: found.method, signal };
    return gatedCalls.has(call) ? goOn() : judge(call, goOn, toResponse);
  }

  function gate<Req extends NodeRequest, Res extends NodeResponse, Rest extends readonly unknown[]>(
    handler: (req: Req, res: Res, ...rest: Rest) => unknown,
  ): (req: Req, res: Res, ...rest: Rest) => void | Promise<void>;
  function gate<Req extends Request, Rest extends readonly unknown[]>(
    handler: (request: Req, ...rest: Rest) => Response | Promise<Response>,
  ): (request: Req, ...rest: Rest) => Response | Promise<Response>;
  function gate(handler: (...args: never[]) => unknown): (...args: never[]) => unknown {
    if (typeof handler !== "function") {
      throw new TypeError("gate takes a handler of Node's HTTP servers, or one of fetch");
    }
    return (...args) => {
      const goOn = () => handler(...args);
      const [request, response]: unknown[] = args;
      if (isFetchRequest(request)) {
        return gateFetch(request, goOn);
      }
      return isNodeRequest(request) && isNodeResponse(response)
        ? gateNode(request, response, goOn)
        : goOn();
    };
  }
  return gate;
}

/** RFC 9112 §3.2. Connect for Node would throw, whatever the HTTP method, and nobody catch it. */
function badRequest(): RefusalResponse {
  return { status: 400, header: new Headers(), body: undefined };
}

function toResponse({ status, header, body }: RefusalResponse): Response {
  return new Response(body === undefined ? null : new Uint8Array(body), {
    status,
    headers: header,
  });
}

function isFetchRequest(value: unknown): value is Request {
  return isObject(value) && "headers" in value && hasMethod(value.headers, "get");
}

function isNodeRequest(value: unknown): value is NodeRequest {
  return isObject(value) && "headers" in value && hasMethod(value, "pause");
}

function isNodeResponse(value: unknown): value is NodeResponse {
  return hasMethod(value, "setHeader") && hasMethod(value, "end");
}

function hasMethod(value: unknown, name: string): boolean {
  return isObject(value) && typeof Reflect.get(value, name) === "function";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
