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

const few = [1, 10] as const;
const base = 100;
const many = [1000, 10_000] as const;

/** All that there is one of for a run, as it lists all services. */
const artefacts =
  "index_file=auth_index,snapshot_file=auth.json,matrix_file=auth.md,matrix_file=auth.html,openapi_security_file=auth.yaml";

/**
 * Whether time and memory of the plugin grow with the number of services, and
 * no faster. What a run without any service takes is taken off: shared among
 * more services it would make any growth look flat. Next to it, one and ten
 * services are too little to measure: their rows compare whole runs.
 */
export function benchPluginGrowth(full: boolean): Row[] {
  const directory = temporaryDirectory();
  const image = buildImage(writeServices(directory, Math.max(...many)));
  const run = (services: number, rounds: number) => {
    const request = writePart(directory, image, services);
    return best(Array.from({ length: rounds }, () => measurePlugin(connectAuthPlugin, request)));
  };
  const none = run(0, 5);
  const some = run(base, 5);
  const keys = [
    ["seconds", "plugin processor time"],
    ["peakBytes", "plugin memory"],
  ] as const;
  const whole = few.flatMap((count) => {
    const measured = run(count, 5);
    return keys.map(([key, what]) => ({
      name: `${what} for ${count === 1 ? "1 service" : `${count} services`}, all artefacts`,
      against: `a run for ${base} services`,
      value: measured[key] / some[key],
      unit: "ratio" as const,
      bound: 1,
      aim: 1,
    }));
  });
  const each = many.flatMap((count) => {
    const measured = run(count, full ? 3 : 1);
    return keys.map(([key, what]) => ({
      name: `${what} for each of ${count.toLocaleString("en")} services, all artefacts, start-up taken off`,
      against: `the same for each of ${base} services`,
      value: (measured[key] - none[key]) / count / ((some[key] - none[key]) / base),
      unit: "ratio" as const,
      bound: 1.2,
      aim: 1,
    }));
  });
  return [...whole, ...each];
}

/** Writes a request for the first services of an image, as buf sends it. */
function writePart(directory: string, { file }: FileDescriptorSet, services: number): string {
  const isOurs = ({ service }: FileDescriptorProto) => service.length > 0;
  const part = file
    .filter(isOurs)
    .slice(0, Math.ceil(services / servicesPerFile))
    .map((proto, i) => ({
      ...proto,
      service: proto.service.slice(0, services - i * servicesPerFile),
    }));
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
