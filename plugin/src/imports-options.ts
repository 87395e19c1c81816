import type { DescFile } from "@bufbuild/protobuf";
import { file_connectum_auth_v1_options } from "../../src/gen/connectum/auth/v1/options_pb.js";
import { seesOptions } from "../../src/policy/options-schema.js";

/** Whether a file can use the options, or a copy of them. */
export function importsOptions(file: DescFile): boolean {
  return (
    seesOptions(file) ||
    // `import option` of edition 2024 does not bring the file itself
    file.proto.optionDependency.includes(file_connectum_auth_v1_options.proto.name)
  );
}
