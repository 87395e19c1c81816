import {
  create,
  createFileRegistry,
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  type FileRegistry,
} from "@bufbuild/protobuf";
import {
  EmptySchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_empty,
} from "@bufbuild/protobuf/wkt";
import { createContextValues, type Interceptor, type UnaryRequest } from "@connectrpc/connect";
import {
  definePolicies,
  getPublicMethods,
  type MethodPolicyInit,
  type ServicePolicies,
} from "connectrpc-auth";
import {
  type Authenticator,
  createJwtAuthInterceptor,
  createServerAuth,
} from "connectrpc-auth/server";
import { compare, type Subject } from "./compare.js";
import type { Row } from "./row.js";

const methodsPerService = 10;

/** Deciding on a call on a server with many methods, against one with few. */
export async function benchPolicyScale(): Promise<Row[]> {
  const many = services(1000, { kind: "public" });
  const few = services(1, { kind: "public" });
  const requires: MethodPolicyInit = {
    kind: "requires",
    roles: ["admin"],
    scopes: ["users:write"],
  };
  const common = { against: "the same with 10", unit: "ratio", bound: 1.1, aim: 1 } as const;
  const options = { rounds: 200, callsPerRound: 2000 };
  return [
    {
      ...common,
      name: "skipMethods with 10,000 public methods",
      value: await compare(throughJwtAuth(many), throughJwtAuth(few), options),
    },
    {
      ...common,
      name: "createServerAuth with 10,000 public methods",
      value: await compare(throughServerAuth(many), throughServerAuth(few), options),
    },
    {
      ...common,
      name: "createServerAuth with 10,000 methods that require a role",
      value: await compare(
        throughServerAuth(services(1000, requires)),
        throughServerAuth(services(1, requires)),
        options,
      ),
    },
  ];
}

const jwtAuth = (skipMethods: readonly string[]) =>
  createJwtAuthInterceptor({ secret: "s".repeat(32), skipMethods });

/** Takes no time, so that what is compared is the policy. */
const authenticate: Authenticator = {
  identityHeaders: [],
  authenticate: async () => ({
    subject: "alice",
    roles: ["admin"],
    scopes: ["users:write"],
    claims: {},
    type: "bench",
  }),
};

function throughJwtAuth(policies: readonly ServicePolicies[]): Subject {
  return calls(jwtAuth(getPublicMethods(policies)), policies);
}

function throughServerAuth(policies: readonly ServicePolicies[]): Subject {
  const [interceptor] = createServerAuth({ policies, authenticate }).interceptors;
  if (interceptor === undefined) {
    throw new Error("createServerAuth has no interceptor");
  }
  return calls(interceptor, policies);
}

/** Calls through an interceptor, each to another one of ten methods. */
function calls(interceptor: Interceptor, policies: readonly ServicePolicies[]): Subject {
  const service = policies.at(-1)?.service;
  if (service === undefined) {
    throw new Error("there is no service to call");
  }
  const call = interceptor(async (req) => ({
    stream: false,
    service,
    method: unaryMethod(service, 0),
    header: req.header,
    trailer: new Headers(),
    message: create(EmptySchema),
  }));
  let next = 0;
  return () => call(requestTo(service, unaryMethod(service, next++ % methodsPerService)));
}

function unaryMethod(service: DescService, index: number): DescMethodUnary {
  const method = service.methods[index];
  if (method === undefined || !isUnary(method)) {
    throw new Error(`${service.typeName} has no unary method ${index}`);
  }
  return method;
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function requestTo(service: DescService, method: DescMethodUnary): UnaryRequest {
  return {
    stream: false,
    service,
    method,
    requestMethod: "POST",
    url: `https://in-memory/${service.typeName}/${method.name}`,
    signal: new AbortController().signal,
    header: new Headers(),
    contextValues: createContextValues(),
    message: create(EmptySchema),
  };
}

function services(count: number, policy: MethodPolicyInit): ServicePolicies[] {
  const registry = buildServices(count);
  return Array.from({ length: count }, (_, index) => {
    const service = registry.getService(`acme.bench.v1.Service${index}`);
    if (service === undefined) {
      throw new Error(`service ${index} was not built`);
    }
    const policies = service.methods.map(({ localName }) => [localName, policy]);
    return definePolicies(service, Object.fromEntries(policies));
  });
}

function buildServices(count: number): FileRegistry {
  const method = Array.from({ length: methodsPerService }, (_, index) => ({
    name: `Read${index}`,
    inputType: `.${EmptySchema.typeName}`,
    outputType: `.${EmptySchema.typeName}`,
  }));
  const file = create(FileDescriptorProtoSchema, {
    name: "acme/bench/v1/public.proto",
    package: "acme.bench.v1",
    syntax: "proto3",
    dependency: [file_google_protobuf_empty.proto.name],
    service: Array.from({ length: count }, (_, index) => ({
      name: `Service${index}`,
      method,
    })),
  });
  const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, file] });
  return createFileRegistry(set);
}
