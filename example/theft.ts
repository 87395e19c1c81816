import { Code } from "@connectrpc/connect";
import { Auth } from "connectrpc-auth";
import { createAuthClient } from "connectrpc-auth/oauth";
import { outcomeOf } from "./compare.js";
import { createUserClients } from "./shop-clients.js";
import type { Step } from "./step.js";
import type { WireLog } from "./wire-log.js";

/**
 * Tries what someone may who got hold of the last request, an order, with its
 * token and proof, but not of the key.
 */
export async function tryStolen(baseUrl: string, wire: WireLog): Promise<Step[]> {
  const { authorization = "", proof = "" } = wire.requests.at(-1) ?? {};
  const token = authorization.replace(/^\S+ /, "");
  // makes proofs with a key of its own; it never asks for a token
  const other = createAuthClient({
    issuer: "https://nowhere.example",
    clientId: "thief",
    clientSecret: "none",
    dpop: true,
  });
  let nonce = "";
  const attempts = [
    {
      name: "without a proof",
      auth: Auth.bearer(token),
      reason: 'token: bound to a key ("cnf"), so not a bearer token',
    },
    {
      name: "with the proof that was sent before",
      auth: Auth.dpop(token, () => proof),
      reason: 'proof: "jti" was used before',
    },
    {
      name: "with a proof by another key",
      auth: Auth.dpop(token, (request) => other.buildDpopProof({ ...request, nonce }), {
        // the shop tells its nonce to everyone
        onNonce: (given) => {
          nonce = given ?? nonce;
        },
      }),
      reason: "token: bound to another key than that of the proof",
    },
  ];
  const steps: Step[] = [];
  for (const { name, auth, reason } of attempts) {
    const { orders } = createUserClients(baseUrl, auth);
    const outcome = await outcomeOf(() => orders.placeOrder({ sku: "mug" }));
    const actual = outcome === Code.Unauthenticated ? wire.lastReason() : String(outcome);
    steps.push({ name, actual: [actual], promised: [reason] });
  }
  return steps;
}
