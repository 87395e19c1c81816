import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

/** Builds a service whose messages have a required field (proto2), so that none of them is empty. */
export function buildDemandingService(): DescService {
  const message = {
    name: "Demanding",
    field: [
      {
        name: "id",
        number: 1,
        label: FieldDescriptorProto_Label.REQUIRED,
        type: FieldDescriptorProto_Type.STRING,
      },
    ],
  };
  const types = { inputType: ".test.v1.Demanding", outputType: ".test.v1.Demanding" };
  const file = create(FileDescriptorProtoSchema, {
    name: "test/v1/demanding.proto",
    package: "test.v1",
    syntax: "proto2",
    messageType: [message],
    service: [
      {
        name: "DemandingService",
        method: [
          { name: "Ask", ...types },
          { name: "Watch", ...types, serverStreaming: true },
        ],
      },
    ],
  });
  const set = create(FileDescriptorSetSchema, { file: [file] });
  const service = createFileRegistry(set).getService("test.v1.DemandingService");
  if (service === undefined) {
    throw new Error("DemandingService was not built");
  }
  return service;
}
