import type { DescField, DescService } from "@bufbuild/protobuf";
import { expect } from "vitest";
import {
  MethodAuthSchema,
  method_auth,
  ServiceAuthSchema,
  service_auth,
} from "../../src/gen/connectum/auth/v1/options_pb.js";
import { resolveMethodPolicy } from "../../src/policy/resolve-method-auth.js";
import {
  optionCombinations,
  serviceOfCombinations,
} from "../../test/policy/option-combinations.js";
import { buildService } from "../../test/support/build-service.js";
import type { readPolicies, ServiceRules, WrittenRules } from "../src/read-policies.js";

/** What is checked: the module in plugin/src, or a mutant of it. */
export interface Reader {
  readonly readPolicies: typeof readPolicies;
}

/** All that must hold of what reads the access rules in a file. */
export const readerChecks: readonly {
  readonly name: string;
  readonly check: (reader: Reader) => void;
}[] = [
  {
    name: "reads nothing where no option is written",
    check: (reader) => {
      const { written, methods } = readOne(
        reader,
        buildService("Bare", undefined, [{ name: "M" }]),
      );
      expect(valuesOf(written)).toEqual({});
      expect(methods.map((method) => valuesOf(method.written))).toEqual([{}]);
    },
  },
  {
    name: "tells by which field each rule is written",
    check: (reader) => {
      const requires = { roles: ["a"] };
      const { written, methods } = readOne(
        reader,
        buildService(
          "Full",
          { public: true, internal: true, defaultPolicy: "deny", defaultRequires: requires },
          [{ name: "M", auth: { public: true, internal: true, policy: "deny", requires } }],
        ),
      );
      const service = ServiceAuthSchema.field;
      expect(fieldsOf(written)).toEqual([
        service.public,
        service.internal,
        service.defaultPolicy,
        service.defaultRequires,
      ]);
      const method = MethodAuthSchema.field;
      expect(methods.map((item) => fieldsOf(item.written))).toEqual([
        [method.public, method.internal, method.policy, method.requires],
      ]);
    },
  },
  ...(["service", "method"] as const).map((place) => ({
    name: `rejects another message behind the number of our option on a ${place}`,
    check: (reader: Reader) => {
      const service = buildService("Foreign", undefined, [{ name: "M" }]);
      const [method] = service.methods;
      expect.assert(method !== undefined);
      const options = place === "service" ? service.proto.options : method.proto.options;
      const { number, message } = place === "service" ? service_auth : method_auth;
      expect.assert(options !== undefined && message !== undefined);
      // a field that ends before the length it gives
      const data = new Uint8Array([2, 0x12, 9]);
      options.$unknown = [{ no: number, wireType: 2, data }];
      const on = place === "service" ? service : method;
      expect(() => readOne(reader, service)).toThrow(
        new Error(
          `test/v1/test.proto: option ${number} of ${on} is no ${message.typeName}; does another schema use that number?`,
        ),
      );
    },
  })),
  ...optionCombinations.map((service) => ({
    name: `reads what is written on a service with ${JSON.stringify(service)}, and on its methods`,
    check: (reader: Reader) => {
      const desc = serviceOfCombinations(service);
      const rules = readOne(reader, desc);
      expect(rules.service).toBe(desc);
      expect(valuesOf(rules.written)).toEqual(service);
      expect(rules.methods.map(({ method }) => method)).toEqual(desc.methods);
      expect(rules.methods.map(({ written }) => valuesOf(written))).toEqual(optionCombinations);
      expect(rules.methods.map(({ policy }) => policy)).toEqual(
        desc.methods.map(resolveMethodPolicy),
      );
    },
  })),
];

function readOne(reader: Reader, service: DescService): ServiceRules {
  const { file, services } = reader.readPolicies(service.file);
  expect(file).toBe(service.file);
  expect(services).toHaveLength(1);
  const [rules] = services;
  expect.assert(rules !== undefined);
  return rules;
}

/** The values of what is written, as they were given to the builder. */
function valuesOf({ public: isPublic, internal, policy, requires }: WrittenRules): object {
  return {
    ...(isPublic !== undefined && { public: isPublic.value }),
    ...(internal !== undefined && { internal: internal.value }),
    ...(policy !== undefined && { policy: policy.value }),
    ...(requires !== undefined && {
      requires: { roles: requires.value.roles, scopes: requires.value.scopes },
    }),
  };
}

function fieldsOf(written: WrittenRules): (DescField | undefined)[] {
  const { public: isPublic, internal, policy, requires } = written;
  return [isPublic, internal, policy, requires].map((setting) => setting?.field);
}
