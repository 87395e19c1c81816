import type { Server as HttpServer } from "node:http";
import type { Http2Server } from "node:http2";

/** A server that listens on a free port of this machine. */
export interface Listening {
  readonly baseUrl: string;
  /** Stops it, and ends what is still connected. */
  close(): Promise<void>;
}

/** Lets a server listen on a free port that only this machine reaches. */
export async function listenOnLoopback(server: HttpServer | Http2Server): Promise<Listening> {
  // HTTP/2 connections stay open until someone ends them: those of our clients would keep the process
  const connections = new Set<{ destroy(): void }>();
  server.on("connection", (socket: NodeJS.Socket & { destroy(): void }) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("the server has no port");
  }
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        for (const connection of connections) {
          connection.destroy();
        }
      }),
  };
}
