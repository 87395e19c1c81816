import type { Server } from "node:http";

/** A server that listens on a free port of this machine. */
export interface Listening {
  readonly baseUrl: string;
  /** Stops it, and ends every connection. May be called again. */
  close(): Promise<void>;
}

/** Lets a server listen on a free port that only this machine reaches. */
export async function listenOnLoopback(server: Server): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("the server has no port");
  }
  let closed: Promise<void> | undefined;
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closed;
    },
  };
}
