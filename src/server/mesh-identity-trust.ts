import { maxCredentialBytes } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "./auth-context.js";
import type { Authenticator } from "./authenticate.js";
import { checkOwnHeader, hiddenHeaders } from "./check-header-name.js";
import { type Grants, readGrants } from "./grants.js";
import { parseXfcc } from "./parse-xfcc.js";
import { invalidCredentials } from "./refusal.js";

const defaultHeader = "x-forwarded-client-principal";
const xfccHeader = "x-forwarded-client-cert";

/** A service of the mesh that may call, and as whom. */
export interface MeshIdentity extends Grants {
  /**
   * Exactly what the mesh forwards, case included; `AuthContext.subject`. A
   * SPIFFE id, `spiffe://cluster.local/ns/shop/sa/indexer`, or Istio's short form of it,
   * `cluster.local/ns/shop/sa/indexer`: neither matches the other.
   */
  readonly principal: string;
  /** `AuthContext.name`. Default: none. */
  readonly name?: string;
}

/** Options of `meshIdentityTrust`. */
export interface MeshIdentityTrustOptions {
  /** The services that may call. All others are refused. */
  readonly allowlist: readonly MeshIdentity[];
  /**
   * Where the mesh puts the principal. `x-forwarded-client-cert` is read in
   * the format of Envoy, and the principal is its `URI`; any other header is
   * the principal and nothing else. Default: `x-forwarded-client-principal`.
   */
  readonly header?: string;
  /** `AuthContext.type`. Default: `mesh`. */
  readonly type?: string;
}

/**
 * Trusts other services by the principal that a proxy of the mesh found in
 * their certificates, and forwards in a header. For
 * `createInternalAuthInterceptor`, and `internal` of `createServerAuth`.
 *
 * Nothing here proves that the header comes from the mesh. Unless the proxy
 * replaces or deletes the header of every request, also of those without a
 * certificate, and unless it is the only way to this server, any caller writes
 * the principal it likes and is that service. Never put a gateway that users
 * call through on the list: all of them would be internal callers.
 *
 * Refuses with `Unauthenticated`: a principal that is not on the list, several
 * of them, a malformed value or one above 8 KiB. Of `x-forwarded-client-cert`
 * also one with several elements: they come about where a proxy appends to what
 * it was sent, and then the first is what a caller wrote about itself, and
 * which of the others counts depends on how many proxies there are. And one
 * with several `URI`: a SPIFFE certificate has one.
 *
 * Throws `TypeError` for an empty list, and for a principal that is empty, is
 * there twice, or has spaces or commas: two headers arrive as one with a comma.
 *
 * ```ts
 * meshIdentityTrust({
 *   allowlist: [{ principal: "spiffe://cluster.local/ns/shop/sa/indexer", roles: ["indexer"] }],
 * });
 * ```
 */
export function meshIdentityTrust(options: MeshIdentityTrustOptions): Authenticator {
  checkKnownOptions("meshIdentityTrust", options, optionNames);
  const header = checkOwnHeader("header", options.header ?? defaultHeader);
  const identities = readAllowlist(options);
  const principalIn = header === xfccHeader ? uriOf : (value: string) => value;
  return {
    identityHeaders: hiddenHeaders(header),
    async authenticate(call) {
      const value = call.header.get(header);
      if (value === null) {
        return undefined;
      }
      if (value.length > maxCredentialBytes) {
        throw invalidCredentials(`${header} has more than ${maxCredentialBytes} bytes`);
      }
      const principal = principalIn(value);
      const identity = identities.get(principal);
      if (identity === undefined) {
        throw invalidCredentials(`principal ${JSON.stringify(principal)} is not on the allowlist`);
      }
      return identity;
    },
  };
}

const optionNames: Record<keyof MeshIdentityTrustOptions, true> = {
  allowlist: true,
  header: true,
  type: true,
};

const entryNames: Record<keyof MeshIdentity, true> = {
  principal: true,
  name: true,
  roles: true,
  scopes: true,
};

function readAllowlist(options: MeshIdentityTrustOptions): Map<string, AuthContext> {
  const { allowlist, type = "mesh" } = options;
  if (!Array.isArray(allowlist) || allowlist.length === 0) {
    throw new TypeError("allowlist must be a list of one or more { principal }");
  }
  const identities = new Map<string, AuthContext>();
  for (const entry of allowlist) {
    checkKnownOptions("an entry of allowlist", entry, entryNames);
    const { principal, name } = entry;
    if (typeof principal !== "string" || !/^[\x21-\x2b\x2d-\x7e]+$/.test(principal)) {
      throw new TypeError(
        `principal ${JSON.stringify(principal)} must be visible ASCII without spaces and commas`,
      );
    }
    if (identities.has(principal)) {
      throw new TypeError(`principal "${principal}" is on the allowlist twice`);
    }
    const identity = {
      subject: principal,
      ...(name !== undefined && { name }),
      ...readGrants(entry),
      claims: Object.freeze({}),
      type,
    };
    identities.set(principal, Object.freeze(identity));
  }
  return identities;
}

function uriOf(value: string): string {
  const [element, ...others] = parseXfcc(value) ?? [];
  if (element === undefined) {
    throw invalidCredentials(`${xfccHeader} is malformed`);
  }
  if (others.length > 0) {
    throw invalidCredentials(`${xfccHeader} has more than one element`);
  }
  const uris = element.filter(([key]) => key === "uri").map(([, uri]) => uri);
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) {
    throw invalidCredentials(`${xfccHeader} has ${uris.length} URI, not one`);
  }
  return uri;
}
