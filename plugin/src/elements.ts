import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { FileRules, WrittenRules } from "./read-policies.js";

/** A service or method, and what is written about it. */
export interface Element {
  readonly on: DescService | DescMethod;
  readonly written: WrittenRules;
  /** What holds: what is written, else what a method gets from its service. */
  readonly effective: WrittenRules;
}

/** All services and methods of a file. */
export function* elements({ services }: FileRules): Iterable<Element> {
  for (const { service, written: inherited, methods } of services) {
    yield { on: service, written: inherited, effective: inherited };
    for (const { method, written } of methods) {
      const effective = {
        public: written.public ?? inherited.public,
        internal: written.internal ?? inherited.internal,
        policy: written.policy ?? inherited.policy,
        requires: written.requires ?? inherited.requires,
      };
      yield { on: method, written, effective };
    }
  }
}
