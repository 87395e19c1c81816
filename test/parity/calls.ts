import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
} from "@bufbuild/protobuf";
import type { CallOptions, ConnectRouter } from "@connectrpc/connect";

/** Serves all methods of a service, whatever their kind of stream, with empty messages. */
export function serveEmpty(router: ConnectRouter, service: DescService): void {
  for (const method of service.methods) {
    if (isUnary(method)) {
      router.rpc(method, () => ({}));
    } else if (isServerStreaming(method)) {
      router.rpc(method, oneMessage);
    } else if (isClientStreaming(method)) {
      router.rpc(method, async (messages) => {
        await drain(messages);
        return {};
      });
    } else if (isBidiStreaming(method)) {
      router.rpc(method, async function* (messages) {
        await drain(messages);
        yield {};
      });
    }
  }
}

/** Calls a method of a client, whatever its kind of stream, and reads the answer to its end. */
export async function callEmpty(
  client: object,
  method: DescMethod,
  options: CallOptions = {},
): Promise<void> {
  const call: unknown = Reflect.get(client, method.localName);
  if (typeof call !== "function") {
    throw new Error(`the client has no method ${method.localName}`);
  }
  const streamsIn = isClientStreaming(method) || isBidiStreaming(method);
  const answer: unknown = Reflect.apply(call, client, [streamsIn ? oneMessage() : {}, options]);
  if (isStream(answer)) {
    await drain(answer);
  } else {
    await answer;
  }
}

async function* oneMessage(): AsyncGenerator<Record<string, never>> {
  yield {};
}

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _message of messages) {
    // an error of a stream comes with a message
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function isServerStreaming(method: DescMethod): method is DescMethodServerStreaming {
  return method.methodKind === "server_streaming";
}

function isClientStreaming(method: DescMethod): method is DescMethodClientStreaming {
  return method.methodKind === "client_streaming";
}

function isBidiStreaming(method: DescMethod): method is DescMethodBiDiStreaming {
  return method.methodKind === "bidi_streaming";
}
