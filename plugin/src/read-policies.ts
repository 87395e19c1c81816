import {
  type DescField,
  type DescFile,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  isFieldSet,
} from "@bufbuild/protobuf";
import {
  type MethodAuth,
  MethodAuthSchema,
  method_auth,
  type ServiceAuth,
  ServiceAuthSchema,
  service_auth,
} from "../../src/gen/connectum/auth/v1/options_pb.js";
import type { MethodPolicy, Requirements } from "../../src/policy/method-policy.js";
import { resolveMethodPolicy } from "../../src/policy/resolve-method-auth.js";

/** The access rules in a proto file. */
export interface FileRules {
  readonly file: DescFile;
  readonly services: readonly ServiceRules[];
}

/** The access rules of a service. */
export interface ServiceRules {
  readonly service: DescService;
  readonly written: WrittenRules;
  readonly methods: readonly MethodRules[];
}

/** The access rules of a method: what is written on it, and the policy that follows. */
export interface MethodRules {
  readonly method: DescMethod;
  readonly written: WrittenRules;
  readonly policy: MethodPolicy;
}

/** What is written on one service or method. `undefined`: not written. */
export interface WrittenRules {
  readonly public?: Setting<boolean> | undefined;
  readonly internal?: Setting<boolean> | undefined;
  readonly policy?: Setting<string> | undefined;
  readonly requires?: Setting<Requirements> | undefined;
}

/** A field that is set in an option. */
export interface Setting<T> {
  readonly value: T;
  readonly field: DescField;
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
      written: parsing(service, () => writtenOnService(service)),
      methods: service.methods.map((method) => ({
        method,
        written: parsing(method, () => writtenOnMethod(method)),
        policy: resolveMethodPolicy(method),
      })),
    })),
  };
}

function writtenOnService(service: DescService): WrittenRules {
  if (!hasOption(service, service_auth)) {
    return {};
  }
  const auth = getOption(service, service_auth);
  const { field } = ServiceAuthSchema;
  return {
    public: setting(auth, field.public, auth.public),
    internal: setting(auth, field.internal, auth.internal),
    policy: setting(auth, field.defaultPolicy, auth.defaultPolicy),
    requires: setting(auth, field.defaultRequires, auth.defaultRequires),
  };
}

function writtenOnMethod(method: DescMethod): WrittenRules {
  if (!hasOption(method, method_auth)) {
    return {};
  }
  const auth = getOption(method, method_auth);
  const { field } = MethodAuthSchema;
  return {
    public: setting(auth, field.public, auth.public),
    internal: setting(auth, field.internal, auth.internal),
    policy: setting(auth, field.policy, auth.policy),
    requires: setting(auth, field.requires, auth.requires),
  };
}

function setting<T>(
  auth: MethodAuth | ServiceAuth,
  field: DescField,
  value: T | undefined,
): Setting<T> | undefined {
  return value !== undefined && isFieldSet(auth, field) ? { value, field } : undefined;
}

/** The number of an option is all that says it is ours: what is behind it may be anything. */
function parsing<T>(on: DescService | DescMethod, read: () => T): T {
  try {
    return read();
  } catch {
    const option = on.kind === "rpc" ? method_auth : service_auth;
    const { file } = on.kind === "rpc" ? on.parent : on;
    throw new Error(
      `${file.proto.name}: option ${option.number} of ${on} is no ${option.message?.typeName}; does another schema use that number?`,
    );
  }
}
