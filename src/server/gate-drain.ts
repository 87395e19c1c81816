import type { IncomingMessage } from "node:http";
import type { NodeResponse } from "./gate-send-refusal.js";

/** As much is read of the body of a call that was refused, so that its connection can be used again. */
export const maxDrainedBytes = 65_536;

/** How long the client has to take its answer, before the connection is gone. */
export const lingerMs = 2_000;

/**
 * Reads what is left of a request over HTTP/1.1, so that its connection can be
 * used for the next one. Where there is more than `maxDrainedBytes`, or it does
 * not come within `lingerMs`, the connection is closed. To be called before the
 * response is ended.
 *
 * Left to itself, Node reads such a body to its end, however long that takes; or
 * it closes the socket, which resets the connection where data is unread, and
 * the client may never see its answer. So the writing side is ended first, and
 * the socket destroyed some time later (RFC 9112 §9.6).
 */
export function drainOrClose(req: IncomingMessage, res: NodeResponse): void {
  if (req.complete) {
    return; // all of it came already
  }
  const { socket } = req;
  const isAnnounced = Number(req.headers["content-length"]) > maxDrainedBytes;
  if (isAnnounced) {
    res.setHeader("connection", "close");
  }
  let left = isAnnounced ? 0 : maxDrainedBytes;
  let isClosing = isAnnounced;
  let timer: NodeJS.Timeout | undefined;

  const close = () => {
    isClosing = true;
    if (res.writableFinished) {
      socket.end();
    }
  };
  const onData = (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) {
      req.pause();
      close();
    }
  };
  const onFinish = () => {
    timer = setTimeout(() => socket.destroy(), lingerMs).unref();
    if (isClosing) {
      socket.end();
    }
  };
  const onOver = () => {
    clearTimeout(timer);
    req.off("data", onData).off("end", onOver);
    res.off("finish", onFinish);
    socket.off("close", onOver);
    if (socket.destroySoon === close) {
      Reflect.deleteProperty(socket, "destroySoon");
    }
    if (isClosing) {
      socket.destroySoon();
    }
  };
  // what Node calls after a response with `connection: close`
  socket.destroySoon = close;
  socket.once("close", onOver);
  res.once("finish", onFinish);
  req.on("data", onData).once("end", onOver).resume();
}
