import { randomBytes } from "node:crypto";
import { startAuthorizationServer } from "./authorization-server.js";
import { gatherCallers } from "./callers.js";
import { allAsPromised, compareWithPromise } from "./compare.js";
import { shopRules, startShopServer } from "./shop-server.js";
import { isKept } from "./step.js";
import { takeSupplierTour } from "./supplier-tour.js";
import { renderTable } from "./table.js";
import { takeTour } from "./tour.js";
import { createWireLog } from "./wire-log.js";

/**
 * Starts the shop and the server that issues its tokens, uses it, tries every
 * method as everyone, and stops it. Returns whether everything came out as
 * promised.
 */
export async function runExample(print: (text: string) => void): Promise<boolean> {
  const audience = "https://shop.acme.example";
  const serviceSecret = randomBytes(32).toString("base64url");
  const issuer = await startAuthorizationServer(audience);
  try {
    const wire = createWireLog();
    const shop = await startShopServer({ ...issuer, ...wire, audience, serviceSecret });
    try {
      const tour = await takeTour(shop.baseUrl, issuer, serviceSecret);
      print(`${tour.join("\n")}\n`);

      const { text, steps } = await takeSupplierTour({ shop, issuer, wire, audience });
      print(`${text}\n`);

      const callers = await gatherCallers(issuer, serviceSecret);
      const rows = await compareWithPromise(shop.baseUrl, callers, shopRules);
      print(renderTable(rows));
      return steps.every(isKept) && allAsPromised(rows);
    } finally {
      await shop.close();
    }
  } finally {
    await issuer.close();
  }
}
