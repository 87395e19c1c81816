import { AsyncLocalStorage } from "node:async_hooks";
import type { DescMethod } from "@bufbuild/protobuf";
import { authorizationHeader, dpopHeader } from "../headers.js";
import { methodName } from "../policy/method-policy.js";
import type { Admission } from "./gatekeeper.js";

/** What is compared of a call, to know it again. */
interface CallId {
  readonly method: DescMethod;
  readonly header: Headers;
}

/** Calls that a gate has let pass, on their way to the interceptor. */
export interface GatedCalls {
  /** Goes on with a call that was let pass. */
  run<T>(call: CallId, admission: Admission, fn: () => T): T;
  /**
   * What the gate found out about this very call, once: a proof that was used
   * is not verified again. `undefined`: it passed no gate, or is another call
   * that was made on the way, with credentials of its own.
   */
  take(call: CallId): Admission | undefined;
}

/** Makes the way from the gate of one `createServerAuth` to its interceptor. */
export function createGatedCalls(identityHeaders: readonly string[]): GatedCalls {
  const storage = new AsyncLocalStorage<{ readonly call: CallId; admission?: Admission }>();
  const credentials = [authorizationHeader, dpopHeader, "cookie", ...identityHeaders];
  const isSame = (a: CallId, b: CallId) =>
    methodName(a.method) === methodName(b.method) &&
    credentials.every((name) => a.header.get(name) === b.header.get(name));

  return {
    run: (call, admission, fn) => storage.run({ call, admission }, fn),
    take(call) {
      const gated = storage.getStore();
      if (gated?.admission === undefined || !isSame(gated.call, call)) {
        return undefined;
      }
      const { admission } = gated;
      delete gated.admission;
      return admission;
    },
  };
}
