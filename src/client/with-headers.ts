import type { StreamRequest, UnaryRequest } from "@connectrpc/connect";
import type { AuthHeaders } from "../credentials/auth-headers.js";

/**
 * The request with a credential. A copy: the interceptors around ours hold the
 * request as it came, and still do when they log it, or call again, after the
 * answer.
 */
export function withHeaders<R extends UnaryRequest | StreamRequest>(
  req: R,
  headers: AuthHeaders,
): R {
  const header = new Headers(req.header);
  for (const [name, value] of headers) {
    header.set(name, value);
  }
  return { ...req, header };
}
