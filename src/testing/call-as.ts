import type { DescMethod } from "@bufbuild/protobuf";
import { dpopNonceHeader } from "../headers.js";
import { methodName } from "../policy/method-policy.js";
import { type CallerCredentials, headersOf } from "./caller-credentials.js";
import type { PolicyCaller } from "./policy-callers.js";
import type { StubAnswer, StubServer } from "./stub-server.js";

/**
 * Makes the credentials of a caller who has been granted exactly these roles
 * and scopes. `undefined`: there is no such caller, and the call is left out.
 */
export type CallerFactory = (
  caller: PolicyCaller,
  method: DescMethod,
) => CallerCredentials | undefined | Promise<CallerCredentials | undefined>;

/** Where `describePolicies` gets its callers from. */
export interface PolicyCallers {
  /** Credentials of a user. */
  readonly user: CallerFactory;
  /** Credentials of another service. Needed where a method is internal. Default: none. */
  readonly internal?: CallerFactory;
  /** Credentials that nobody issued. Default: `Authorization: Bearer invalid`. */
  readonly invalid?: CallerCredentials;
}

/**
 * Calls a method as one of the callers, once more if the server asks for a DPoP
 * nonce. `undefined`: there is no such caller.
 */
export async function callAs(
  caller: PolicyCaller,
  method: DescMethod,
  callers: PolicyCallers,
  { server, origin }: { readonly server: StubServer; readonly origin: string },
): Promise<StubAnswer | undefined> {
  const { option, credentials } = await credentialsOf(caller, method, callers);
  if (credentials === undefined) {
    return undefined;
  }
  const url = `${origin}/${methodName(method)}`;
  const answer = await server.call(method, await headersOf(option, credentials, { url }));
  const nonce = answer.error?.metadata.get(dpopNonceHeader);
  return nonce ? server.call(method, await headersOf(option, credentials, { url, nonce })) : answer;
}

/** `option` is where they come from, for messages. */
async function credentialsOf(
  caller: PolicyCaller,
  method: DescMethod,
  { user, internal, invalid = { authorization: "Bearer invalid" } }: PolicyCallers,
): Promise<{ option: string; credentials: CallerCredentials | undefined }> {
  switch (caller.kind) {
    case "nobody":
      return { option: "", credentials: {} };
    case "invalid":
      return { option: "callers.invalid", credentials: invalid };
    case "underPrivileged":
    case "privileged":
      return { option: "callers.user", credentials: await user(caller, method) };
    case "internal":
    case "underPrivilegedInternal":
      return { option: "callers.internal", credentials: await internal?.(caller, method) };
  }
}
