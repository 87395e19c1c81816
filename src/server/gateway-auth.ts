import { AUTH_HEADERS, gatewaySecretHeader } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import {
  type AuthInterceptor,
  type CommonAuthOptions,
  commonOptionNames,
  createAuthenticatingInterceptor,
} from "./authenticate.js";
import { checkHeaderName, hiddenHeaders } from "./check-header-name.js";
import { createSecretCheck } from "./check-secret.js";
import { type IdentityHeaderMapping, readIdentity } from "./propagate-headers.js";
import { invalidCredentials } from "./refusal.js";

/** Which headers carry which part of the identity. Left out: that part is not read. */
export interface GatewayHeaderMapping extends IdentityHeaderMapping {}

/** Options of `createGatewayAuthInterceptor`. */
export interface GatewayAuthInterceptorOptions extends CommonAuthOptions {
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
 * a wrong one, the secret without a subject, malformed roles and claims, values
 * above 8 KiB, and a comma in the subject, type or scopes: a gateway that adds
 * its header to the one of the client sends both, and they arrive as
 * `mallory, alice`, or without the space. Throws `TypeError` where no expected
 * value is given, or an empty one, and where one header is to carry two things.
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
  checkKnownOptions("trustSource", options.trustSource, trustSourceNames);
  const { trustSource, headerMapping: mapping = defaultMapping, defaultType = "gateway" } = options;
  const trustHeader = checkHeaderName(
    "trustSource.header",
    trustSource.header ?? gatewaySecretHeader,
  );
  const isTrusted = createSecretCheck("trustSource.expectedValues", trustSource.expectedValues);
  const mapped = readMapping(mapping, trustHeader);
  const stripHeaders = options.stripHeaders ?? [];
  if (!Array.isArray(stripHeaders)) {
    throw new TypeError("stripHeaders must be a list of header names");
  }
  // JSON that came twice is none, and a name is for display. RFC 6749 §3.3 has commas in scopes,
  // but who joins headers without a space would let a client put one before ours
  const single = [mapping.subject, mapping.type, mapping.scopes];

  return createAuthenticatingInterceptor(
    {
      identityHeaders: hiddenHeaders(
        trustHeader,
        ...Object.values(AUTH_HEADERS),
        ...mapped,
        ...stripHeaders.map((name) => checkHeaderName("stripHeaders", name)),
      ),
      async authenticate({ header }) {
        const secret = header.get(trustHeader);
        if (secret === null && !mapped.some((name) => header.has(name))) {
          return undefined;
        }
        if (secret === null || !isTrusted(secret)) {
          throw invalidCredentials(`identity headers without the right ${trustHeader}`);
        }
        for (const name of single) {
          if (name !== undefined && header.get(name)?.includes(",")) {
            throw invalidCredentials(`${name} looks as if it had been sent twice`);
          }
        }
        return readIdentity(header, mapping, defaultType);
      },
    },
    options,
  );
}

const optionNames: Record<keyof GatewayAuthInterceptorOptions, true> = {
  trustSource: true,
  headerMapping: true,
  stripHeaders: true,
  ...commonOptionNames,
  defaultType: true,
};

const trustSourceNames: Record<keyof GatewayAuthInterceptorOptions["trustSource"], true> = {
  header: true,
  expectedValues: true,
};

const mappingNames: Record<keyof GatewayHeaderMapping, true> = {
  subject: true,
  name: true,
  roles: true,
  scopes: true,
  type: true,
  claims: true,
};

/** The headers that are mapped, in lower case. Throws `TypeError`. */
function readMapping(mapping: GatewayHeaderMapping, trustHeader: string): string[] {
  checkKnownOptions("headerMapping", mapping, mappingNames);
  checkHeaderName("headerMapping.subject", mapping.subject);
  const names: string[] = [];
  for (const [field, name] of Object.entries<string | undefined>({ ...mapping })) {
    if (name === undefined) {
      continue;
    }
    const checked = checkHeaderName(`headerMapping.${field}`, name);
    // the secret would be part of an identity, or the subject a role
    if (checked === trustHeader || names.includes(checked)) {
      throw new TypeError(`headerMapping.${field} "${name}" carries something else already`);
    }
    names.push(checked);
  }
  return names;
}
