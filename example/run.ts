import { randomBytes } from "node:crypto";
import { startAuthorizationServer } from "./authorization-server.js";
import { gatherCallers } from "./callers.js";
import { allAsPromised, compareWithPromise } from "./compare.js";
import { shopRules, startShopServer } from "./shop-server.js";
import { renderTable } from "./table.js";
import { takeTour } from "./tour.js";

/**
 * Starts the shop and the server that issues its tokens, uses it, tries every
 * method as everyone, and stops it. Returns whether the proto files' promise
 * was kept.
 */
export async function runExample(print: (text: string) => void): Promise<boolean> {
  const audience = "https://shop.acme.example";
  const serviceSecret = randomBytes(32).toString("base64url");
  const issuer = await startAuthorizationServer(audience);
  try {
    const shop = await startShopServer({ ...issuer, audience, serviceSecret });
    try {
      const tour = await takeTour(shop.baseUrl, issuer, serviceSecret);
      print(`${tour.join("\n")}\n`);
      const callers = await gatherCallers(issuer, serviceSecret);
      const rows = await compareWithPromise(shop.baseUrl, callers, shopRules);
      print(renderTable(rows));
      return allAsPromised(rows);
    } finally {
      await shop.close();
    }
  } finally {
    await issuer.close();
  }
}
