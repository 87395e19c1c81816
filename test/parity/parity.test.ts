import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MethodPolicy } from "../../src/index.js";
import { methodName } from "../../src/policy/method-policy.js";
import { resolveMethodPolicy } from "../../src/policy/resolve-method-auth.js";
import { actualOutcomes, expectedOutcomes } from "./demands.js";
import { generate } from "./generate.js";
import {
  expectedPolicy,
  type OptionsSchema,
  printProto,
  type RandomService,
  randomService,
} from "./random-rules.js";
import { expectedHeaders, sentHeaders } from "./sent-headers.js";

const ours: OptionsSchema = {
  file: "connectum/auth/v1/options.proto",
  package: "connectum.auth.v1",
};
const optionsProto = readFileSync(new URL(`../../proto/${ours.file}`, import.meta.url), "utf8");

describe("one policy for the table, the descriptor, the client and the server", () => {
  test.each<{ name: string; schema: OptionsSchema; runs: number }>([
    { name: "options of our schema", schema: ours, runs: 3 },
    {
      name: "options of a copy at another path",
      schema: { ...ours, file: "third_party/auth.proto" },
      runs: 1,
    },
    {
      name: "options of a copy in another package",
      schema: { file: "acme/access/v1/access.proto", package: "acme.access.v1" },
      runs: 1,
    },
  ])(
    "$name",
    async ({ schema, runs }) => {
      const services = fc.array(randomService, { minLength: 60, maxLength: 60 });
      const result = await fc.check(
        fc.asyncProperty(services, (batch) => checkParity(batch, schema)),
        // a batch is large, and each takes a run of buf: nothing to shrink
        { numRuns: runs, endOnFailure: true, ...givenSeed() },
      );
      if (result.failed) {
        throw new Error(`no parity, with PARITY_SEED=${result.seed}: ${result.errorInstance}`, {
          cause: result.errorInstance,
        });
      }
      expect(result.numRuns).toBe(runs);
    },
    120_000,
  );
});

/** Set PARITY_SEED to what a failure said, and the same services come again. */
function givenSeed(): { seed?: number } {
  const seed = process.env.PARITY_SEED;
  return seed === undefined ? {} : { seed: Number(seed) };
}

async function checkParity(batch: readonly RandomService[], schema: OptionsSchema): Promise<void> {
  const file = "parity/v1/services.proto";
  const generated = await generate(
    {
      [schema.file]: optionsProto.replaceAll(ours.package, schema.package),
      [file]: printProto(batch, schema),
    },
    file,
    batch.map((_, i) => `S${i}`),
  );

  const wanted = new Map<string, MethodPolicy>();
  for (const [i, { service, policies, createClient }] of generated.services.entries()) {
    const random = batch[i];
    const label = `S${i} ${JSON.stringify(random)}`;
    const want = random?.methods.map((method) => expectedPolicy(random, method)) ?? [];
    for (const [m, method] of service.methods.entries()) {
      wanted.set(methodName(method), want[m] ?? { kind: "unspecified" });
    }
    const table = service.methods.map((method) => policies.methods[method.localName]);
    expect(table, `table of ${label}`).toEqual(want);
    const descriptor = service.methods.map(resolveMethodPolicy);
    expect(descriptor, `descriptor of ${label}`).toEqual(want);
    const sent = await sentHeaders({ service, policies, createClient });
    expect(sent, `client of ${label}`).toEqual(want.map(expectedHeaders));
    const outcomes = await actualOutcomes(service, policies, want);
    expect(outcomes, `server of ${label}`).toEqual(want.map(expectedOutcomes));
  }
  const ofKind = (kind: MethodPolicy["kind"]) =>
    [...wanted].flatMap(([name, policy]) => (policy.kind === kind ? [name] : []));
  expect(generated.publicMethods).toEqual(ofKind("public"));
  expect(generated.internalMethods).toEqual(ofKind("internal"));
}
