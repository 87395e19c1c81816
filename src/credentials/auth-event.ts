import type { AuthError } from "../errors.js";

/**
 * What happens to the token of a credential, for logs and metrics. No event
 * holds a secret.
 */
export type AuthEvent =
  /** The first token came, or the one that takes the place of an older one. */
  | {
      readonly type: "token_acquired" | "token_refreshed";
      /** How long it took. */
      readonly durationMs: number;
      readonly expiresAt: Date;
    }
  /** No token came. Calls go on with the one at hand for as long as it is valid. */
  | {
      readonly type: "token_failed";
      readonly durationMs: number;
      readonly error: AuthError;
    }
  /** The API refused a token. `error` is what it said of that: `invalid_token`, `insufficient_scope`. */
  | { readonly type: "token_refused"; readonly error: string | undefined }
  /** A refused call is made once more, with another token. */
  | {
      readonly type: "retry";
      /** As `package.Service/Method`. */
      readonly method: string;
    };

/** Is told what happens to a token. What it throws is ignored. */
export type AuthEventListener = (event: AuthEvent) => void;

/** Tells a listener. A broken one breaks no call, whether it throws or rejects. */
export function emit(listener: AuthEventListener | undefined, event: AuthEvent): void {
  if (listener) {
    (async () => listener(event))().catch(() => {});
  }
}
