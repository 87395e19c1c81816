import type { IncomingMessage } from "node:http";
import type { NodeResponse } from "./gate-send-refusal.js";

/** As much is read of the body of a call that was refused, so that its connection can be used again. */
export const maxDrainedBytes = 65_536;

/** How long an answer waits for the end of a body whose length is not known. */
export const awaitEndMs = 100;

/** How long the client has to take its answer, before the connection is gone. */
export const lingerMs = 1_000;

/**
 * Answers a request over HTTP/1.1 whose body nobody wants, and reads the rest
 * of it, so that the connection can be used for the next one. Where there is
 * more than `maxDrainedBytes`, or it does not come in time, the connection is
 * closed. A client must know which it is when it reads its answer, and where it
 * has announced no length, nobody does before the end.
 *
 * Left to itself, Node reads such a body to its end, however long that takes; or
 * it closes the socket, which resets the connection where data is unread, and
 * the client may never see its answer. So the writing side is ended first, and
 * the socket destroyed some time later (RFC 9112 §9.6).
 */
export function answerAndDrain(req: IncomingMessage, res: NodeResponse, answer: () => void): void {
  // undefined where no connection is behind the request, as in `app.inject()` of Fastify
  if (req.complete !== false) {
    answer(); // all of the body came already
    return;
  }
  const { socket } = req;
  const length = req.headers["content-length"];
  let left = Number(length ?? 0) > maxDrainedBytes ? 0 : maxDrainedBytes;
  let isLast = left === 0;
  let timer: NodeJS.Timeout | undefined;

  const answerOnce = () => {
    if (!res.headersSent) {
      clearTimeout(timer);
      if (isLast) {
        res.setHeader("connection", "close");
      }
      answer();
    }
  };
  const answerAsLast = () => {
    isLast = true;
    answerOnce();
  };
  /** What Node calls after a response with `connection: close`, of the client's or of ours. */
  const endSocket = () => {
    isLast = true;
    socket.end();
  };
  const onData = (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) {
      req.pause();
      answerAsLast();
    }
  };
  const onFinish = () => {
    timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  };
  const onEnd = () => {
    answerOnce();
    stop();
    if (isLast && res.writableFinished) {
      socket.destroySoon();
    }
  };
  const stop = () => {
    clearTimeout(timer);
    req.off("data", onData).off("end", onEnd);
    res.off("finish", onFinish);
    socket.off("close", stop);
    if (socket.destroySoon === endSocket) {
      Reflect.deleteProperty(socket, "destroySoon");
    }
  };

  socket.destroySoon = endSocket;
  socket.once("close", stop);
  res.once("finish", onFinish);
  req.on("data", onData).once("end", onEnd).resume();
  if (length === undefined) {
    timer = setTimeout(answerAsLast, awaitEndMs).unref();
  } else {
    answerOnce();
  }
}
