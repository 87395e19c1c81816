import { constants, type ServerHttp2Stream } from "node:http2";

/** How long after its answer the stream of a client is reset that goes on sending. */
export const resetAfterMs = 100;

/** How long a client has to take its answer, before its stream is reset without it. */
export const giveUpAfterMs = 10_000;

/**
 * Resets a stream of HTTP/2 some time after its response, without an error
 * (RFC 9113 §8.1), and without having read any of its body: what the client
 * can send until then is bounded by the window of the stream. To be called
 * before the response is ended.
 *
 * Node by itself would do so at once, or never: at once, the reset may come
 * together with the response, and Node's client then keeps the stream forever.
 */
export function resetSoon(stream: ServerHttp2Stream): void {
  stream.pause();
  let timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), giveUpAfterMs).unref();
  stream.once("finish", () => {
    if (stream.closed || stream.state.remoteClose === 1) {
      stream.resume(); // all of it came: dropped, as a stream with something unread stays
    }
    clearTimeout(timer);
    timer = setTimeout(() => {
      stream.close(constants.NGHTTP2_NO_ERROR);
      stream.resume();
    }, resetAfterMs).unref();
  });
  stream.once("close", () => clearTimeout(timer));
}
