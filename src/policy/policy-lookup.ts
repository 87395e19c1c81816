import type { DescMethod } from "@bufbuild/protobuf";
import { type MethodPolicy, methodName, type ServicePolicies } from "./method-policy.js";

/** Finds the policy of a method in policy tables, by the method's descriptor. */
export interface PolicyLookup {
  /** Adds a table. Throws `TypeError` for a second, different table of a service. */
  add(table: ServicePolicies): void;
  /** `undefined`: no table has the method. */
  get(method: DescMethod): MethodPolicy | undefined;
}

/** A look-up over policy tables, one per service. */
export function createPolicyLookup(tables: Iterable<ServicePolicies> = []): PolicyLookup {
  const byService = new Map<string, ServicePolicies>();
  // Keyed on names rather than on descriptor objects: a service may be
  // registered through another copy of the same generated file.
  const byMethod = new Map<string, MethodPolicy>();
  const byDescriptor = new WeakMap<DescMethod, MethodPolicy>();

  function add(table: ServicePolicies): void {
    const { typeName } = table.service;
    const known = byService.get(typeName);
    if (known === table) {
      return;
    }
    if (known !== undefined && !samePolicies(known, table)) {
      throw new TypeError(`two different policy tables for ${typeName}`);
    }
    byService.set(typeName, table);
    for (const method of table.service.methods) {
      const policy = table.methods[method.localName];
      if (policy !== undefined) {
        byMethod.set(methodName(method), policy);
      }
    }
  }

  for (const table of tables) {
    add(table);
  }
  return {
    add,
    get(method) {
      let policy = byDescriptor.get(method);
      if (policy === undefined) {
        policy = byMethod.get(methodName(method));
        if (policy !== undefined) {
          byDescriptor.set(method, policy);
        }
      }
      return policy;
    },
  };
}

function samePolicies(a: ServicePolicies, b: ServicePolicies): boolean {
  return JSON.stringify(a.methods) === JSON.stringify(b.methods);
}
