import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";

/**
 * The methods that routes register. What implements them is left alone. Throws
 * `TypeError` for async routes: what they register later is not seen.
 */
export function servedMethods(routes: (router: ConnectRouter) => unknown): DescMethod[] {
  const methods: DescMethod[] = [];
  const recorder: ConnectRouter = {
    handlers: [],
    service(service) {
      methods.push(...service.methods);
      return recorder;
    },
    rpc(method) {
      methods.push(method);
      return recorder;
    },
  };
  const result = routes(recorder);
  if (typeof result === "object" && result !== null && "then" in result) {
    Promise.resolve(result).catch(() => {});
    throw new TypeError("routes must not be async: what they register later would not be seen");
  }
  return methods;
}
