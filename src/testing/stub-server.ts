import { AsyncLocalStorage } from "node:async_hooks";
import { create, type DescMethod } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { inMemory } from "./in-memory.js";

type Routes = (router: ConnectRouter) => unknown;

/** What secures a server: a `ServerAuth`, or interceptors that you put together. */
export interface EnforcedAuth {
  /** All that the server is given, in its order. */
  readonly interceptors: Interceptor[];
  /** What its routes are wrapped in. Default: nothing. */
  readonly guard?: (routes: Routes) => (router: ConnectRouter) => void;
}

/** How a call ended. */
export interface StubAnswer {
  readonly outcome: "allowed" | keyof typeof Code;
  /** Where it was not allowed. */
  readonly error?: ConnectError;
}

/** A server of methods that do nothing. */
export interface StubServer {
  /** Calls a method with an empty message, or an empty stream. */
  call(method: DescMethod, header: Headers): Promise<StubAnswer>;
}

/**
 * Serves methods in this process behind what secures a real server. A call is
 * allowed if it reaches its method, whatever the client is told then, or if it
 * is answered without. Throws `TypeError` where `guard` does.
 */
export function createStubServer(
  methods: readonly DescMethod[],
  auth: EnforcedAuth,
  baseUrl: string,
): StubServer {
  // tells a call whose method runs later, or never, from the next one
  const calls = new AsyncLocalStorage<{ isReached: boolean }>();
  const reach = () => {
    const call = calls.getStore();
    if (call !== undefined) {
      call.isReached = true;
    }
  };
  const transport = serve(auth, baseUrl, (router) => {
    for (const method of methods) {
      addStub(router, method, reach);
    }
  });

  async function send(method: DescMethod, header: Headers): Promise<void> {
    const { methodKind } = method;
    // without a byte: an empty message of a type with required fields cannot be written
    const untyped = { ...method, input: EmptySchema };
    if (methodKind === "unary") {
      await transport.unary({ ...untyped, methodKind }, undefined, undefined, header, {});
      return;
    }
    const response = await transport.stream(
      { ...untyped, methodKind },
      undefined,
      undefined,
      header,
      iterate(methodKind === "server_streaming" ? [{}] : []),
    );
    for await (const _ of response.message) {
      // to the end: an error may come with any read
    }
  }

  return {
    async call(method, header) {
      const call = { isReached: false };
      try {
        await calls.run(call, () => send(method, header));
      } catch (cause) {
        if (!call.isReached) {
          const error = ConnectError.from(cause);
          return { outcome: codeName(error.code), error };
        }
      }
      return { outcome: "allowed" };
    },
  };
}

function serve(
  auth: EnforcedAuth,
  baseUrl: string,
  stubs: (router: ConnectRouter) => void,
): Transport {
  try {
    const routes = auth.guard ? auth.guard(stubs) : stubs;
    return inMemory(routes, { interceptors: auth.interceptors })({ baseUrl });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(
      `auth.guard: ${reason}; pass the tables of all services, and \`routes\` where auth exempts others`,
      { cause },
    );
  }
}

function addStub(router: ConnectRouter, method: DescMethod, reach: () => void): void {
  const answer = () => {
    reach();
    return create(method.output);
  };
  if (isKind(method, "unary")) {
    router.rpc(method, answer);
  } else if (isKind(method, "client_streaming")) {
    router.rpc(method, async () => answer());
  } else if (isKind(method, "server_streaming")) {
    router.rpc(method, () => iterate([answer()]));
  } else if (isKind(method, "bidi_streaming")) {
    router.rpc(method, () => iterate([answer()]));
  }
}

function isKind<K extends DescMethod["methodKind"]>(
  method: DescMethod,
  kind: K,
): method is DescMethod & { readonly methodKind: K } {
  return method.methodKind === kind;
}

async function* iterate<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

function codeName(code: Code): keyof typeof Code {
  // the reverse mapping of a numeric enum
  return Code[code] as keyof typeof Code;
}
