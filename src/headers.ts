/** Header names of the protocols that both sides speak, in lower case. */
export const authorizationHeader = "authorization";
/** RFC 9449 §4.1. */
export const dpopHeader = "dpop";
/** RFC 9449 §8.1. */
export const dpopNonceHeader = "dpop-nonce";
/** RFC 9110 §11.6.1. */
export const wwwAuthenticateHeader = "www-authenticate";
/** The header by which a gateway proves to a server that it is the gateway. */
export const gatewaySecretHeader = "x-gateway-secret";

/** Who a gateway says is calling. */
export const subjectHeader = "x-auth-subject";
/** The roles of that caller, a JSON array of strings. */
export const rolesHeader = "x-auth-roles";

/**
 * Headers that carry an identity between a gateway, or another service, and a
 * server. They prove nothing by themselves: a server reads them only together
 * with a secret that the sender shares with it.
 */
export const AUTH_HEADERS = {
  /** Who is calling. */
  SUBJECT: "x-auth-subject",
  /** The caller's display name. */
  NAME: "x-auth-name",
  /** The caller's roles, a JSON array of strings. */
  ROLES: "x-auth-roles",
  /** The caller's scopes, separated by spaces. */
  SCOPES: "x-auth-scopes",
  /** Further claims, a JSON object. */
  CLAIMS: "x-auth-claims",
  /** How the caller was authenticated, such as `jwt`. */
  TYPE: "x-auth-type",
} as const;

/** The largest credential that is sent or read, in bytes. */
export const maxCredentialBytes = 8192;

/** JSON in which every character is one that a header can carry. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
