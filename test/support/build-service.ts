import {
  create,
  createFileRegistry,
  type DescService,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  EmptySchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_empty,
  type MethodDescriptorProto,
  MethodDescriptorProtoSchema,
  MethodOptionsSchema,
  ServiceOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import {
  MethodAuthSchema,
  method_auth,
  ServiceAuthSchema,
  service_auth,
} from "../../src/gen/connectum/auth/v1/options_pb.js";

/** Options as they stand in a proto file: what is left out is not set. */
export type MethodAuthInit = MessageInitShape<typeof MethodAuthSchema>;
export type ServiceAuthInit = MessageInitShape<typeof ServiceAuthSchema>;

/** One method of a service to build. `auth` left out: no option at all. */
export interface MethodInit {
  readonly name: string;
  readonly auth?: MethodAuthInit | undefined;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
}

/** Builds the descriptor of `test.v1.<name>`, with google.protobuf.Empty in and out. */
export function buildService(
  name: string,
  serviceAuth: ServiceAuthInit | undefined,
  methods: readonly MethodInit[],
): DescService {
  const serviceOptions = create(ServiceOptionsSchema);
  if (serviceAuth !== undefined) {
    setExtension(serviceOptions, service_auth, create(ServiceAuthSchema, serviceAuth));
  }
  const file = create(FileDescriptorProtoSchema, {
    name: "test/v1/test.proto",
    package: "test.v1",
    syntax: "proto3",
    dependency: ["google/protobuf/empty.proto"],
    service: [{ name, options: serviceOptions, method: methods.map(buildMethod) }],
  });
  const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, file] });
  const service = createFileRegistry(set).getService(`test.v1.${name}`);
  if (service === undefined) {
    throw new Error(`${name} was not built`);
  }
  return service;
}

function buildMethod(init: MethodInit): MethodDescriptorProto {
  const options = create(MethodOptionsSchema);
  if (init.auth !== undefined) {
    setExtension(options, method_auth, create(MethodAuthSchema, init.auth));
  }
  return create(MethodDescriptorProtoSchema, {
    name: init.name,
    inputType: `.${EmptySchema.typeName}`,
    outputType: `.${EmptySchema.typeName}`,
    clientStreaming: init.clientStreaming ?? false,
    serverStreaming: init.serverStreaming ?? false,
    options,
  });
}
