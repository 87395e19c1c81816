import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodPolicy } from "../policy/method-policy.js";
import type { Auth } from "./auth.js";
import type { Challenge } from "./challenge.js";

/** What a provider is told about the call that needs a credential. */
export interface AuthRequest {
  readonly service: DescService;
  readonly method: DescMethod;
  /** Where the call goes. */
  readonly url: string;
  /** Who may call the method: its roles and scopes, for least privilege. */
  readonly policy: MethodPolicy;
  /**
   * `rejected`: the server answered `Unauthenticated` to the credential in
   * `rejected`, or that it lacks scopes (`insufficient_scope` in `challenge`).
   */
  readonly reason: "request" | "rejected";
  /** The refused credential, with `reason: "rejected"`. */
  readonly rejected?: Auth;
  /** What the server asks for (`WWW-Authenticate`), where it says so. */
  readonly challenge?: Challenge | undefined;
  /** Aborts with the call, or at its deadline. */
  readonly signal: AbortSignal;
}

/** A function that is asked for a credential for every call. */
export type AuthProvider = (request: AuthRequest) => Auth | Promise<Auth>;

/** An object that is asked for a credential for every call, and told of refused ones. */
export interface CredentialSource {
  getAuth(request: AuthRequest): Auth | Promise<Auth>;
  /** The server answered `Unauthenticated` to this credential, or that it lacks scopes. */
  rejected?(auth: Auth, challenge: Challenge | undefined): void;
}

/**
 * Where a client gets its credentials from: always the same one, a function,
 * or an object that keeps them.
 */
export type Credentials = Auth | AuthProvider | CredentialSource;
