import type { Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type Challenge, missingScopes, readChallenge } from "../credentials/challenge.js";
import { AuthError, toCallError } from "../errors.js";

/** A call on its way out. */
export type Call = UnaryRequest | StreamRequest;

/**
 * Sends a call, and again where `renew` got another credential for it: one that
 * is repeatable, until its first message comes. Of later refusals, and of those
 * of other calls, `renew` is told all the same. A refusal that stays
 * `Unauthenticated` gets an `AuthError` (`credentials_refused`) as its cause.
 *
 * `scheme` is that of the credential: a server may challenge for several.
 * `answered` sees the header of each answer, and the metadata of each error.
 */
export async function sendAndRetry(
  send: () => Promise<UnaryResponse | StreamResponse>,
  isRepeatable: boolean,
  scheme: "bearer" | "dpop",
  answered: (header: Headers) => void,
  renew: (challenge: Challenge | undefined, isRepeatable: boolean) => Promise<boolean>,
): Promise<UnaryResponse | StreamResponse> {
  /** Throws, unless the call is to be sent again. */
  const failed = async (error: unknown, isRepeatable: boolean) => {
    if (error instanceof ConnectError) {
      answered(error.metadata);
      const challenge = readChallenge(error.metadata, scheme);
      const isUnauthenticated = error.code === Code.Unauthenticated;
      if (isUnauthenticated || (error.code === Code.PermissionDenied && missingScopes(challenge))) {
        try {
          if (await renew(challenge, isRepeatable)) {
            return;
          }
        } catch (failure) {
          // for want of more scopes, the answer stays what it was
          if (isUnauthenticated) {
            throw toCallError(failure, true);
          }
        }
        if (isUnauthenticated) {
          const cause = new AuthError("credentials_refused", "the server refused the credential");
          cause.sent = true;
          error.cause ??= cause;
        }
      }
    }
    throw error;
  };

  for (;;) {
    try {
      const response = await send();
      answered(response.header);
      if (!response.stream) {
        return response;
      }
      const messages = response.message[Symbol.asyncIterator]();
      // an error in place of the first one can still be answered with another credential
      let first = isRepeatable ? messages.next() : undefined;
      await first;
      const iterator: AsyncIterator<Message> = {
        async next() {
          const result = first ?? messages.next();
          first = undefined;
          try {
            return await result;
          } catch (error) {
            await failed(error, false);
            throw error;
          }
        },
        return: async () => (await messages.return?.()) ?? { done: true, value: undefined },
      };
      return { ...response, message: { [Symbol.asyncIterator]: () => iterator } };
    } catch (error) {
      await failed(error, isRepeatable);
    }
  }
}

/** The call, such that its one request message can be sent twice. */
export async function keepRequest(call: StreamRequest): Promise<StreamRequest> {
  const messages: Message[] = [];
  for await (const message of call.message) {
    messages.push(message);
  }
  const message = {
    async *[Symbol.asyncIterator]() {
      yield* messages;
    },
  };
  return { ...call, message };
}
