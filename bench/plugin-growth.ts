import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  type FileDescriptorProto,
  type FileDescriptorSet,
} from "@bufbuild/protobuf/wkt";
import {
  buildImage,
  connectAuthPlugin,
  measurePlugin,
  type Resources,
  temporaryDirectory,
} from "./plugin-runs.js";
import type { Row } from "./row.js";
import { servicesPerFile, writeServices } from "./write-services.js";

const few = 100;
const many = 10_000;

/** All that there is one of for a run, as it lists all services. */
const artefacts =
  "index_file=auth_index,snapshot_file=auth.json,matrix_file=auth.md,matrix_file=auth.html,openapi_security_file=auth.yaml";

/**
 * Whether time and memory of the plugin grow with the number of services, and
 * no faster. What a run without any service takes is taken off: shared among
 * more services it would make any growth look flat.
 */
export function benchPluginGrowth(full: boolean): Row[] {
  const directory = temporaryDirectory();
  const image = buildImage(writeServices(directory, many));
  const run = (services: number, rounds: number) => {
    const request = writePart(directory, image, services);
    return best(Array.from({ length: rounds }, () => measurePlugin(connectAuthPlugin, request)));
  };
  const none = run(0, 5);
  const little = run(few, 5);
  const much = run(many, full ? 3 : 1);
  const growth = (key: keyof Resources) =>
    (much[key] - none[key]) / many / ((little[key] - none[key]) / few);
  const common = {
    against: `the same for each of ${few} services`,
    unit: "ratio",
    bound: 1.2,
    aim: 1,
  } as const;
  const name = `for each of ${many.toLocaleString("en")} services, all artefacts, start-up taken off`;
  return [
    { ...common, name: `plugin processor time ${name}`, value: growth("seconds") },
    { ...common, name: `plugin memory ${name}`, value: growth("peakBytes") },
  ];
}

/** Writes a request for the first services of an image, as buf sends it. */
function writePart(directory: string, { file }: FileDescriptorSet, services: number): string {
  const isOurs = ({ service }: FileDescriptorProto) => service.length > 0;
  const part = file.filter(isOurs).slice(0, services / servicesPerFile);
  const request = toBinary(CodeGeneratorRequestSchema, {
    $typeName: CodeGeneratorRequestSchema.typeName,
    fileToGenerate: part.map(({ name }) => name),
    parameter: `target=ts,import_extension=js,${artefacts}`,
    protoFile: [...file.filter((other) => !isOurs(other)), ...part],
    sourceFileDescriptors: part,
  });
  const path = join(directory, `request-${services}.binpb`);
  writeFileSync(path, request);
  return path;
}

/** The least of several runs: a neighbour on the machine only adds. */
function best(runs: readonly Resources[]): Resources {
  return {
    seconds: Math.min(...runs.map(({ seconds }) => seconds)),
    peakBytes: Math.min(...runs.map(({ peakBytes }) => peakBytes)),
  };
}
