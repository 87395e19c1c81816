import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextKey,
  type HandlerContext,
  type Interceptor,
  type MethodImpl,
  type ServiceImpl,
} from "@connectrpc/connect";
import { createMethodMatcher } from "../policy/method-pattern.js";
import { methodName, type ServicePolicies } from "../policy/method-policy.js";

/** What routes are guarded with. */
export interface RoutesGuard {
  readonly interceptor: Interceptor;
  /** Set in the context values of a call that the interceptor let pass. */
  readonly passedKey: ContextKey<boolean>;
  readonly policies: readonly ServicePolicies[];
  readonly exempt: readonly string[];
}

type Routes = (router: ConnectRouter) => unknown;

/** See `ServerAuth.guard`. */
export function guardRoutes(routes: Routes, guard: RoutesGuard): (router: ConnectRouter) => void {
  return (router) => {
    const served: DescMethod[] = [];
    const guarded: ConnectRouter = {
      ...router,
      service(service, implementation, options) {
        served.push(...service.methods);
        router.service(
          service,
          guardService(service, implementation, guard.passedKey),
          withInterceptor(options, guard.interceptor),
        );
        return guarded;
      },
      rpc(method, implementation, options) {
        served.push(method);
        router.rpc(
          method,
          guardMethod(implementation, guard.passedKey),
          withInterceptor(options, guard.interceptor),
        );
        return guarded;
      },
    };
    const before = router.handlers.length;
    const result: unknown = routes(guarded);
    if (typeof result === "object" && result !== null && "then" in result) {
      Promise.resolve(result).catch(() => {});
      throw new TypeError(
        "routes must not be async: what they register later would not be checked",
      );
    }
    if (router.handlers.length - before > served.length) {
      throw new TypeError(
        "routes must register handlers by router.service() and router.rpc() only",
      );
    }
    checkCoverage(served, guard);
  };
}

/** Connect takes the interceptors of a service instead of those of the router, also `undefined`. */
function withInterceptor<O extends { interceptors?: Interceptor[] }>(
  options: O | undefined,
  interceptor: Interceptor,
): O | undefined {
  return options && "interceptors" in options
    ? { ...options, interceptors: [interceptor, ...(options.interceptors ?? [])] }
    : options;
}

function guardService<S extends DescService>(
  service: S,
  implementation: Partial<ServiceImpl<S>>,
  passedKey: ContextKey<boolean>,
): Partial<ServiceImpl<S>> {
  const guarded: Record<string, unknown> = Object.create(null);
  for (const { localName } of service.methods) {
    const method: unknown = Reflect.get(implementation, localName);
    // what every object has, such as hasOwnProperty, implements nothing
    if (isHandler(method) && method !== Reflect.get(Object.prototype, localName)) {
      guarded[localName] = guardHandler(method.bind(implementation), passedKey);
    }
  }
  // each function stands in for the one of the same name
  return guarded as Partial<ServiceImpl<S>>;
}

function guardMethod<M extends DescMethod>(
  implementation: MethodImpl<M>,
  passedKey: ContextKey<boolean>,
): MethodImpl<M> {
  // takes and returns what the implementation does, whatever kind of method it is
  return guardHandler(implementation as Handler, passedKey) as MethodImpl<M>;
}

/** The implementation of a method of any kind. */
type Handler = (request: unknown, context: HandlerContext) => unknown;

function isHandler(value: unknown): value is Handler {
  return typeof value === "function";
}

function guardHandler(handler: Handler, passedKey: ContextKey<boolean>): Handler {
  return (request, context) => {
    if (!context.values.get(passedKey)) {
      throw new ConnectError(
        "auth.interceptors did not run: pass them to whatever serves auth.guard(routes)",
        Code.Internal,
      );
    }
    return handler(request, context);
  };
}

function checkCoverage(served: readonly DescMethod[], guard: RoutesGuard): void {
  const problems: string[] = [];
  const covered = new Set(guard.policies.flatMap(({ service }) => service.methods.map(methodName)));
  const isExempt = createMethodMatcher(guard.exempt);
  const open = served.filter((method) => !covered.has(methodName(method)) && !isExempt(method));
  for (const typeName of new Set(open.map((method) => method.parent.typeName))) {
    problems.push(
      `${typeName} is served without a policy table; add its table, or exempt it by name`,
    );
  }
  const servedServices = new Set(served.map((method) => method.parent.typeName));
  for (const { service } of guard.policies) {
    if (!servedServices.has(service.typeName)) {
      problems.push(`there is a policy table for ${service.typeName}, which is not served`);
    }
  }
  for (const pattern of guard.exempt) {
    if (!served.some(createMethodMatcher([pattern]))) {
      problems.push(`exempt "${pattern}" matches no served method`);
    }
  }
  if (problems.length > 0) {
    throw new TypeError(problems.join("; "));
  }
}
