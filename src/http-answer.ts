/*
 * Answers of servers that issue tokens: what can be read of them, and no more.
 */

/** The longest answer that is read, in bytes. */
export const maxAnswerBytes: number = 256 * 1024;

/** The text of an answer. `undefined` where there is more than `maxBytes`, which is not read. */
export async function readText(
  { body }: Response,
  maxBytes: number = maxAnswerBytes,
): Promise<string | undefined> {
  const reader = body?.getReader();
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
      return undefined;
    }
    text += decoder.decode(value, { stream: true });
  }
  return text + decoder.decode();
}

/** The object that a JSON text is. `undefined` for other text; what a parser says would quote it. */
export function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value))
      : undefined;
  } catch {
    return undefined;
  }
}

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110 §10.2.3). */
export function readRetryAfter(header: Headers, now: Date): number | undefined {
  const value = header.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now.getTime();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}

/** Whether a server sent the request elsewhere, also where a custom fetch has followed. */
export function isRedirect({ status, type, redirected }: Response): boolean {
  return redirected || type === "opaqueredirect" || (status >= 300 && status < 400);
}

/**
 * `: ECONNREFUSED`, or what else `fetch` of Node says; empty where it says
 * nothing. The error itself is kept back: that of a custom fetch may show the request.
 */
export function networkReason(error: unknown): string {
  const code = String(Object(Object(error).cause).code);
  return /^[A-Z_]{3,40}$/.test(code) ? `: ${code}` : "";
}
