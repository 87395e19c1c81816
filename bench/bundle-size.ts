import {
  boundClient,
  bundleForBrowser,
  cachingClient,
  generatedClient,
  plainClient,
} from "../test/support/bundle.js";
import type { Row } from "./row.js";

/** What a page loads more with a generated client. */
export async function benchBundleSize(): Promise<Row[]> {
  const plain = await bundleForBrowser(plainClient);
  const row = async (credentials: string, client: string, bound: number, aim: number) => ({
    name: `browser bundle with generated client and ${credentials}, gzip`,
    against: "the same client on plain Connect",
    value: (await bundleForBrowser(client)).gzipBytes - plain.gzipBytes,
    unit: "bytes" as const,
    bound,
    aim,
  });
  return [
    await row("bearer", generatedClient, 3000, 2000),
    await row("cachedAuth", cachingClient, 4000, 3000),
    await row("clientCredentials with DPoP", boundClient, 16_000, 12_000),
  ];
}
