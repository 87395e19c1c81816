import { AsyncLocalStorage } from "node:async_hooks";
import type { DescMethod } from "@bufbuild/protobuf";
import { authorizationHeader, dpopHeader } from "../headers.js";
import { methodName } from "../policy/method-policy.js";
import type { Admission } from "./gatekeeper.js";

/** What is compared of a call, to know it again. */
export interface CallId {
  readonly method: DescMethod;
  readonly requestMethod: string;
  readonly header: Headers;
}

/** Calls that a gate has let pass, on their way to the interceptor. */
export interface GatedCalls {
  /** Goes on with a call that was let pass. */
  run<T>(call: CallId, admission: Admission, fn: () => T): T;
  /** Whether this very call passed a gate, and waits to be taken. */
  has(call: CallId): boolean;
  /**
   * What the gate found out about this very call, once: a proof that was used
   * is not verified again. `undefined`: it passed no gate, or is another call
   * that was made on the way, with headers of its own.
   */
  take(call: CallId): Admission | undefined;
  /**
   * The names of headers that were changed on the way from the gate, of a call
   * of the same method that waits to be taken. Empty: there is no such call, or
   * it is this very one.
   */
  changedIn(call: CallId): readonly string[];
}

/** Makes the way from the gate of one `createServerAuth` to its interceptor. */
export function createGatedCalls(identityHeaders: readonly string[]): GatedCalls {
  const storage = new AsyncLocalStorage<{ readonly call: CallId; admission?: Admission }>();
  const credentials = [authorizationHeader, dpopHeader, "cookie", ...identityHeaders];
  // What the gate has judged must be there still: any header may be a credential, or say where
  // a cookie came from. Others may have been added on the way, but no credential.
  const differences = (judged: Headers, header: Headers) => [
    ...credentials.filter((name) => !judged.has(name) && header.has(name)),
    ...[...judged.keys()].filter((name) => judged.get(name) !== header.get(name)),
  ];
  /** A call of this method that waits to be taken. */
  const waiting = ({ method, requestMethod }: CallId) => {
    const gated = storage.getStore();
    return gated?.admission !== undefined &&
      methodName(gated.call.method) === methodName(method) &&
      gated.call.requestMethod === requestMethod
      ? gated
      : undefined;
  };
  const find = (call: CallId) => {
    const gated = waiting(call);
    return gated && differences(gated.call.header, call.header).length === 0 ? gated : undefined;
  };

  return {
    run: (call, admission, fn) => storage.run({ call, admission }, fn),
    has: (call) => find(call) !== undefined,
    take(call) {
      const gated = find(call);
      const admission = gated?.admission;
      delete gated?.admission;
      return admission;
    },
    changedIn(call) {
      const gated = waiting(call);
      return gated === undefined ? [] : differences(gated.call.header, call.header);
    },
  };
}
