import type { SecretClient } from "./oauth-clients.js";

/** What an endpoint said. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown>;
}

/** Posts a form, as any client does, and reads the JSON of the answer. */
export async function post(
  url: string,
  body: Record<string, string> | [string, string][],
  headers: Record<string, string> = {},
  fetchOf: typeof fetch = fetch,
): Promise<Answer> {
  const params = new URLSearchParams(body);
  const response = await fetchOf(url, { method: "POST", headers, body: params });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

/** The header of client authentication with a secret (RFC 6749 §2.3.1). */
export function basic({ clientId, clientSecret }: SecretClient): { authorization: string } {
  const encode = (text: string) => new URLSearchParams([["", text]]).toString().slice(1);
  return { authorization: `Basic ${btoa(`${encode(clientId)}:${encode(clientSecret)}`)}` };
}
