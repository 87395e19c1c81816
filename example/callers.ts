import { setTimeout } from "node:timers/promises";
import { Auth } from "connectrpc-auth";
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from "jose";
import { accounts } from "./accounts.js";
import type { AuthorizationServer } from "./authorization-server.js";

/** Someone who calls the shop. */
export interface Caller {
  readonly name: string;
  /** What they present. */
  readonly auth: Auth;
  /** What that proves; `undefined`: nothing. */
  readonly identity: Identity | undefined;
}

/** Who a credential proves someone to be. */
export interface Identity {
  readonly kind: "user" | "service";
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

/** Everyone who calls the shop in the table. Their tokens are real, or started out as such. */
export async function gatherCallers(
  issuer: AuthorizationServer,
  serviceSecret: string,
): Promise<Caller[]> {
  const brief = await issuer.requestToken("brief");
  const customer = await issuer.requestToken("customer");
  const admin = await issuer.requestToken("admin");
  const forged = await signWithOtherKey(admin);
  await untilExpired(brief);
  return [
    { name: "nobody", auth: Auth.none(), identity: undefined },
    {
      name: "customer",
      auth: Auth.jwt(customer),
      identity: { kind: "user", ...accounts.customer },
    },
    { name: "admin", auth: Auth.jwt(admin), identity: { kind: "user", ...accounts.admin } },
    {
      name: "service",
      auth: Auth.gateway({ secret: serviceSecret, subject: "warehouse", roles: ["logistics"] }),
      identity: { kind: "service", roles: ["logistics"], scopes: [] },
    },
    { name: "forged", auth: Auth.jwt(forged), identity: undefined },
    { name: "expired", auth: Auth.jwt(brief), identity: undefined },
  ];
}

/** The same header, key id included, and the same claims, with the signature of another key. */
export async function signWithOtherKey(token: string): Promise<string> {
  const { privateKey } = await generateKeyPair("ES256");
  return new SignJWT(decodeJwt(token))
    .setProtectedHeader({ ...decodeProtectedHeader(token), alg: "ES256" })
    .sign(privateKey);
}

/** Waits until a token has expired. */
export async function untilExpired(token: string): Promise<void> {
  const { exp = 0 } = decodeJwt(token);
  await setTimeout(Math.max(0, exp * 1000 - Date.now()));
}
