import { renderSteps, type Step } from "./step.js";
import { type CallsOptions, callAsSupplier } from "./supplier-calls.js";
import { tryStolen } from "./theft.js";

/** What another company's service does at the shop, and what someone does who robs it. */
export async function takeSupplierTour(
  options: CallsOptions,
): Promise<{ readonly text: string; readonly steps: readonly Step[] }> {
  const calls = await callAsSupplier(options);
  const { shop, wire } = options;
  const thefts = await tryStolen(shop.baseUrl, wire);
  const text = [
    "Another company's service calls with tokens of its own, each for one method's scopes and",
    "bound to a key. Counted on the wire: requests to the shop, and for tokens.",
    "",
    renderSteps(["", "scopes", "requests", "for tokens"], calls),
    "",
    "Someone gets hold of the last token, but not of the key:",
    "",
    renderSteps(["", "refused, as the shop's log says"], thefts),
  ].join("\n");
  return { text, steps: [...calls, ...thefts] };
}
