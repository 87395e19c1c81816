import {
  isRedirect,
  maxAnswerBytes,
  networkReason,
  parseJsonObject,
  readRetryAfter,
  readText,
} from "../http-answer.js";
import { AuthClientError } from "./auth-client-error.js";
import { unlessAborted } from "./unless-aborted.js";

/** A function such as the global `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** An answer that has been read. */
export interface Answer {
  readonly status: number;
  /** Whether the status is 2xx. */
  readonly ok: boolean;
  readonly headers: Headers;
  readonly text: string;
}

/** Asks an authorization server, and reads at most 256 KiB of its answer. Throws `AuthClientError`. */
export async function fetchAnswer(fetch: Fetch, url: string, init: RequestInit): Promise<Answer> {
  const where = new URL(url);
  const at = where.origin + where.pathname;
  const ask = async () => {
    // with a redirect the secret would go where the server says
    const response = await fetch(url, { ...init, redirect: "manual" });
    const { status, ok, headers } = response;
    if (isRedirect(response)) {
      await response.body?.cancel();
      throw new AuthClientError("redirect", `${at} redirects, which is not followed`, { status });
    }
    const text = await readText(response);
    if (text === undefined) {
      throw new AuthClientError(
        "response_too_large",
        `${at} answered with more than ${maxAnswerBytes / 1024} KiB`,
        { status },
      );
    }
    return { status, ok, headers, text };
  };
  try {
    // a custom fetch may not know signals
    return await unlessAborted(init.signal, ask());
  } catch (error) {
    if (error instanceof AuthClientError) {
      throw error;
    }
    if (init.signal?.aborted) {
      throw new AuthClientError("timeout", `no answer from ${at} in time`);
    }
    throw new AuthClientError("network_error", `no answer from ${at}${networkReason(error)}`);
  }
}

/** What an answer that is no success means (RFC 6749 §5.2). `sent`: what must not come back as its code. */
export function toError(at: string, answer: Answer, now: Date, sent = ""): AuthClientError {
  const { status, headers } = answer;
  const { error } = parseJsonObject(answer.text) ?? {};
  // a code, and not what a server echoes, also where something encoded it
  const code =
    typeof error === "string" &&
    /^[a-z_]{1,64}$/.test(error) &&
    !lettersOf(sent).includes(lettersOf(error))
      ? error
      : "http_error";
  const hint = hints[code];
  return new AuthClientError(
    code,
    `${at} answered ${code === "http_error" ? "" : `${code}, `}HTTP ${status}${hint ? `: ${hint}` : ""}`,
    { status, retryAfterMs: readRetryAfter(headers, now) },
  );
}

const hints: Readonly<Record<string, string>> = {
  invalid_client: "check clientId, the secret or key, and clientAuthentication",
  invalid_grant: "the refresh token or subject token has expired, was revoked or was used before",
  unauthorized_client: "the client is not registered for this grant",
  invalid_scope: "the client may not have one of these scopes",
  invalid_target: "the server does not know this resource, or takes one at a time",
  use_dpop_nonce: "the server refused the nonce that it gave, or CORS does not expose DPoP-Nonce",
};

function lettersOf(text: string): string {
  return text.replace(/[^a-z]/g, "");
}
