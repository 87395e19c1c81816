import { bundleForBrowser, generatedClient, plainClient } from "../test/support/bundle.js";
import type { Row } from "./row.js";

/** What a page loads more with a generated client and a bearer token. */
export async function benchBundleSize(): Promise<Row[]> {
  const plain = await bundleForBrowser(plainClient);
  const generated = await bundleForBrowser(generatedClient);
  return [
    {
      name: "browser bundle with generated client and bearer, gzip",
      against: "the same client on plain Connect",
      value: generated.gzipBytes - plain.gzipBytes,
      unit: "bytes",
      bound: 3000,
      aim: 2000,
    },
  ];
}
