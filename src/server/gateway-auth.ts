import { AUTH_HEADERS, gatewaySecretHeader } from "../headers.js";
import { checkKnownOptions } from "../known-options.js";
import {
  type AuthInterceptor,
  type CommonAuthOptions,
  commonOptionNames,
  createAuthenticatingInterceptor,
} from "./authenticate.js";
import { checkHeaderName } from "./check-header-name.js";
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
  const isTrusted = createSecretCheck("trustSource.expectedValues", trustSource?.expectedValues);
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
