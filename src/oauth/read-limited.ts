import { AuthClientError } from "./auth-client-error.js";

const maxBytes = 256 * 1024;

/** The text of an answer of at most 256 KiB. Stops reading where there is more. */
export async function readLimited(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes = 0; reader; ) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel().catch(() => {});
      throw new AuthClientError(
        "response_too_large",
        `the authorization server answered with more than ${maxBytes / 1024} KiB`,
        { status: response.status },
      );
    }
    text += decoder.decode(value, { stream: true });
  }
  return text + decoder.decode();
}

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110 §10.2.3). */
export function readRetryAfter(header: Headers, now: Date): number | undefined {
  const value = header.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now.getTime();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}
