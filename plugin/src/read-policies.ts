import {
  type DescFile,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import {
  type MethodAuth,
  method_auth,
  type ServiceAuth,
  service_auth,
} from "../../src/gen/connectum/auth/v1/options_pb.js";
import type { MethodPolicy } from "../../src/policy/method-policy.js";
import { resolveMethodPolicy } from "../../src/policy/resolve-method-auth.js";

/** The access rules in a proto file. */
export interface FileRules {
  readonly file: DescFile;
  readonly services: readonly ServiceRules[];
}

/** The access rules of a service: what is written, and what it comes to for each method. */
export interface ServiceRules {
  readonly service: DescService;
  /** `undefined`: the service has no `service_auth`. */
  readonly options: ServiceAuth | undefined;
  readonly methods: readonly MethodRules[];
}

/** The access rules of a method: what is written on it, and the policy that follows. */
export interface MethodRules {
  readonly method: DescMethod;
  /** `undefined`: the method has no `method_auth`. */
  readonly options: MethodAuth | undefined;
  readonly policy: MethodPolicy;
}

/**
 * Reads the access rules in a file. Options are found by their number, so the
 * schema may be another copy of ours.
 */
export function readPolicies(file: DescFile): FileRules {
  return {
    file,
    services: file.services.map((service) => ({
      service,
      options: hasOption(service, service_auth) ? getOption(service, service_auth) : undefined,
      methods: service.methods.map((method) => ({
        method,
        options: hasOption(method, method_auth) ? getOption(method, method_auth) : undefined,
        policy: resolveMethodPolicy(method),
      })),
    })),
  };
}
