import { createHash, timingSafeEqual } from "node:crypto";
import { AUTH_HEADERS, gatewaySecretHeader, maxCredentialBytes } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import type { AuthContext } from "./auth-context.js";
import { type AuthInterceptor, createAuthenticatingInterceptor } from "./authenticate.js";
import { invalidCredentials } from "./refusal.js";

/** Which headers carry which part of the identity. Left out: that part is not read. */
export interface GatewayHeaderMapping {
  /** Who is calling. */
  readonly subject: string;
  /** The caller's display name. */
  readonly name?: string;
  /** Roles, a JSON array of strings. */
  readonly roles?: string;
  /** Scopes, separated by spaces. */
  readonly scopes?: string;
  /** How the gateway authenticated the caller. */
  readonly type?: string;
  /** Further claims, a JSON object. */
  readonly claims?: string;
}

/** Options of `createGatewayAuthInterceptor`. */
export interface GatewayAuthInterceptorOptions {
  /** How the gateway proves that it is the gateway. */
  readonly trustSource: {
    /** Default: `x-gateway-secret`. */
    readonly header?: string;
    /** Values of the header that are trusted: several while a secret rotates. */
    readonly expectedValues: readonly string[];
  };
  /**
   * Default: `x-auth-subject` and `x-auth-roles`. The gateway must set or
   * remove every header that is mapped: what it lets through, it vouches for.
   */
  readonly headerMapping?: GatewayHeaderMapping;
  /** Further headers that no handler shall see. Default: none. */
  readonly stripHeaders?: readonly string[];
  /** Methods that need no credential, as method patterns. Default: none. */
  readonly skipMethods?: readonly string[];
  /** `AuthContext.type` where the gateway sends none. Default: `gateway`. */
  readonly defaultType?: string;
}

/** What `Auth.gateway()` sends. A gateway that sets others has to say so. */
const defaultMapping: GatewayHeaderMapping = {
  subject: AUTH_HEADERS.SUBJECT,
  roles: AUTH_HEADERS.ROLES,
};

/**
 * Authenticates callers by headers that a gateway, or another trusted service,
 * sets: `Auth.gateway()` and `createClientGatewayInterceptor` on the client
 * side. The identity counts only together with the shared secret. Handlers see
 * none of these headers, on methods without authentication neither.
 *
 * Refuses with `Unauthenticated`: identity headers without the secret or with
 * a wrong one, the secret without a subject, malformed roles and claims.
 * Throws `TypeError` where no expected value is given, or an empty one.
 *
 * Do not use it where clients can reach the server past the gateway and could
 * learn the secret: whoever has it, is whoever they say.
 *
 * ```ts
 * createGatewayAuthInterceptor({ trustSource: { expectedValues: [process.env.GATEWAY_SECRET!] } });
 * ```
 */
export function createGatewayAuthInterceptor(
  options: GatewayAuthInterceptorOptions,
): AuthInterceptor {
  checkKnownOptions("createGatewayAuthInterceptor", options, optionNames);
  const { trustSource, headerMapping: mapping = defaultMapping, defaultType = "gateway" } = options;
  const trustHeader = checkHeaderName(
    "trustSource.header",
    trustSource?.header ?? gatewaySecretHeader,
  );
  const isTrusted = createSecretCheck(trustSource?.expectedValues);
  const mapped = Object.entries(mapping).flatMap(([field, name]: [string, string | undefined]) =>
    name === undefined ? [] : [checkHeaderName(`headerMapping.${field}`, name)],
  );
  checkHeaderName("headerMapping.subject", mapping.subject);
  const stripHeaders = (options.stripHeaders ?? []).map((name) =>
    checkHeaderName("stripHeaders", name),
  );
  const identityHeaders = [
    trustHeader,
    ...Object.values(AUTH_HEADERS),
    ...mapped,
    ...stripHeaders,
  ].map((name) => name.replaceAll("_", "-"));

  return createAuthenticatingInterceptor(
    {
      identityHeaders,
      async authenticate({ header }) {
        const secret = header.get(trustHeader);
        if (secret === null && !mapped.some((name) => header.has(name))) {
          return undefined;
        }
        if (secret === null || !isTrusted(secret)) {
          throw invalidCredentials(`identity headers without the right ${trustHeader}`);
        }
        return readIdentity(header, mapping, defaultType);
      },
    },
    options.skipMethods,
  );
}

const optionNames: Record<keyof GatewayAuthInterceptorOptions, true> = {
  trustSource: true,
  headerMapping: true,
  stripHeaders: true,
  skipMethods: true,
  defaultType: true,
};

/** Returns the name in lower case. Throws `TypeError` for what is no header name (RFC 9110 §5.1). */
function checkHeaderName(option: string, name: string): string {
  if (typeof name !== "string" || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw new TypeError(`${option} ${JSON.stringify(name)} must be the name of a header`);
  }
  return name.toLowerCase();
}

function readIdentity(
  header: Headers,
  mapping: GatewayHeaderMapping,
  defaultType: string,
): AuthContext {
  const read = (name: string | undefined): string | undefined => {
    const value = name === undefined ? undefined : (header.get(name) ?? undefined);
    if (value !== undefined && value.length > maxCredentialBytes) {
      throw invalidCredentials(`${name} has more than ${maxCredentialBytes} bytes`);
    }
    return value;
  };
  const subject = read(mapping.subject);
  if (!subject) {
    throw invalidCredentials(`no subject in ${mapping.subject}`);
  }
  const name = read(mapping.name);
  const roles = parseJson(mapping.roles, read(mapping.roles)) ?? [];
  if (!Array.isArray(roles) || !roles.every((role) => typeof role === "string")) {
    throw invalidCredentials(`${mapping.roles} is not a JSON array of strings`);
  }
  const claims = parseJson(mapping.claims, read(mapping.claims)) ?? {};
  if (typeof claims !== "object" || Array.isArray(claims)) {
    throw invalidCredentials(`${mapping.claims} is not a JSON object`);
  }
  return {
    subject,
    ...(name !== undefined && { name }),
    roles,
    scopes: read(mapping.scopes)?.split(" ").filter(Boolean) ?? [],
    claims: { ...claims },
    type: read(mapping.type) || defaultType,
  };
}

function parseJson(name: string | undefined, text: string | undefined): unknown {
  if (text === undefined) {
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (value === null) {
    throw invalidCredentials(`${name} is not JSON`);
  }
  return value;
}

/** Compares in constant time, whatever the lengths: by digests of equal length. */
function createSecretCheck(expectedValues: readonly string[]): (value: string) => boolean {
  if (
    !Array.isArray(expectedValues) ||
    expectedValues.length === 0 ||
    !expectedValues.every((value) => typeof value === "string" && value !== "")
  ) {
    throw new TypeError(
      "trustSource.expectedValues must be a list of one or more secrets, none of them empty",
    );
  }
  const expected = expectedValues.map(digest);
  return (value) => {
    const actual = digest(value);
    // all are compared, so that the time does not tell which one matched
    return expected.filter((secret) => timingSafeEqual(secret, actual)).length > 0;
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
