import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "./auth-context.js";
import { invalidToken } from "./refusal.js";

/**
 * Which claims an identity is read from. Dots go into objects:
 * `realm_access.roles`. A claim whose own name has dots or is a URL is found
 * by its whole name first.
 */
export interface ClaimsMapping {
  /** A string. Default: `sub`. */
  readonly subject?: string;
  /** A string. Default: `name`. */
  readonly name?: string;
  /** An array of strings; anything else is no role. Default: `roles`. */
  readonly roles?: string;
  /** Scopes separated by spaces, or an array of strings. Default: `scope`. */
  readonly scopes?: string;
}

const mappingNames: Record<keyof ClaimsMapping, true> = {
  subject: true,
  name: true,
  roles: true,
  scopes: true,
};

/** A copy of a mapping. Throws `TypeError` for what is none; `option` is its name. */
export function readClaimsMapping(option: string, mapping: ClaimsMapping = {}): ClaimsMapping {
  checkKnownOptions(option, mapping, mappingNames);
  for (const [name, path] of Object.entries<unknown>({ ...mapping })) {
    if (path !== undefined && (typeof path !== "string" || path === "")) {
      throw new TypeError(
        `${option}.${name} ${JSON.stringify(path)} must be the name of a claim, or a path to it`,
      );
    }
  }
  return { ...mapping };
}

/** Reads an identity from the claims of a token. Throws `Unauthenticated` where they have no subject. */
export function toIdentity(
  claims: Readonly<Record<string, unknown>>,
  mapping: ClaimsMapping,
  type: string,
): AuthContext {
  const subjectPath = mapping.subject ?? "sub";
  const subject = claimAt(claims, subjectPath);
  if (typeof subject !== "string" || subject.trim() === "") {
    throw invalidToken(`token: no subject in "${subjectPath}"`);
  }
  const name = claimAt(claims, mapping.name ?? "name");
  const scopes = claimAt(claims, mapping.scopes ?? "scope");
  return {
    subject,
    ...(typeof name === "string" && { name }),
    roles: strings(claimAt(claims, mapping.roles ?? "roles")),
    scopes: typeof scopes === "string" ? scopes.split(" ").filter(Boolean) : strings(scopes),
    claims: freezeJson(claims),
    type,
    ...(typeof claims.exp === "number" && { expiresAt: new Date(claims.exp * 1000) }),
  };
}

/** Many calls may share the claims of one token. */
function freezeJson<T extends object>(value: T): T {
  for (const item of Object.values(value)) {
    if (typeof item === "object" && item !== null) {
      freezeJson(item);
    }
  }
  return Object.freeze(value);
}

function strings(value: unknown): string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : [];
}

/** Reads own properties only: what a prototype has was not in the token. */
function claimAt(claims: object, path: string): unknown {
  if (Object.hasOwn(claims, path)) {
    return Reflect.get(claims, path);
  }
  return path.split(".").reduce<unknown>((value, key) => {
    const isObject = typeof value === "object" && value !== null;
    return isObject && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
  }, claims);
}
