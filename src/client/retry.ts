import type { Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type Challenge, missingScopes, readChallenge } from "../credentials/challenge.js";
import { AuthError } from "../errors.js";

/** A call on its way out. */
export type Call = UnaryRequest | StreamRequest;

/** How a server refused a credential. */
export interface Refusal {
  readonly error: ConnectError;
  /** What it asks for (`WWW-Authenticate`), where it says so. */
  readonly challenge: Challenge | undefined;
}

/**
 * Sends a call, and again while `refused` comes up with it under another
 * credential: unary calls, and server-streaming ones until their first message.
 * The others have sent messages that are gone; of their refusals `refused` is
 * told all the same. A refusal that stays `Unauthenticated` gets an `AuthError`
 * (`credentials_refused`) as its cause.
 *
 * `answered` sees the header of each answer, and the metadata of each error.
 */
export async function sendAndRetry(
  next: Parameters<Interceptor>[0],
  call: Call,
  answered: (header: Headers) => void,
  refused: (refusal: Refusal, isRepeatable: boolean) => Promise<Call | undefined>,
): Promise<UnaryResponse | StreamResponse> {
  const isOneRequest = hasOneRequest(call);
  const failed = async (error: unknown, isRepeatable: boolean) => {
    if (error instanceof ConnectError) {
      answered(error.metadata);
      const challenge = readChallenge(error.metadata);
      const isUnauthenticated = error.code === Code.Unauthenticated;
      if (isUnauthenticated || (error.code === Code.PermissionDenied && missingScopes(challenge))) {
        const renewed = await refused({ error, challenge }, isRepeatable);
        if (renewed) {
          return renewed;
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
  for (let attempt = call; ; ) {
    try {
      const response = await next(attempt);
      answered(response.header);
      return response.stream
        ? await openStream(response, isOneRequest, (error) => failed(error, false))
        : response;
    } catch (error) {
      attempt = await failed(error, isOneRequest);
    }
  }
}

/** The call, such that its request message can be sent twice if it has but one. */
export async function keepRequest(call: Call): Promise<Call> {
  if (!call.stream || !hasOneRequest(call)) {
    return call;
  }
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

function hasOneRequest({ method }: Call): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}

/**
 * Reads a stream, the first message at once if `peek` says so: an error that
 * comes in its place can still be answered with another credential. Errors that
 * come later pass through `failed`.
 */
async function openStream(
  response: StreamResponse,
  peek: boolean,
  failed: (error: unknown) => Promise<unknown>,
): Promise<StreamResponse> {
  const messages = response.message[Symbol.asyncIterator]();
  let first = peek ? messages.next() : undefined;
  await first;
  const iterator: AsyncIterator<Message> = {
    async next() {
      const result = first ?? messages.next();
      first = undefined;
      try {
        return await result;
      } catch (error) {
        await failed(error);
        throw error;
      }
    },
    return: async () => (await messages.return?.()) ?? { done: true, value: undefined },
  };
  return { ...response, message: { [Symbol.asyncIterator]: () => iterator } };
}
