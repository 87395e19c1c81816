import net from "node:net";
import { listen } from "./free-port.js";

/** Answers in RESP, such as `+OK`. */
export interface RespAnswers {
  /** To `SET`. `last`: nothing is said after it on this connection, which may also end. */
  readonly set?: string | { readonly last: string; readonly close?: boolean };
  /** To what clients say before anything else. Default: that of a server which takes any password. */
  readonly greeting?: string;
}

/** Speaks with clients of Redis, and answers what Redis would not: no Redis. */
export interface RespServer {
  readonly port: number;
  /** Each `SET` that came. */
  readonly commands: string[][];
  close(): Promise<void>;
}

export async function startRespServer({ set = "+OK", greeting }: RespAnswers): Promise<RespServer> {
  const commands: string[][] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let received = "";
    const say = (text: string) => socket.write(`${text}\r\n`);
    socket.setEncoding("latin1");
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      received += data;
      for (let next = readCommand(received); next; next = readCommand(received)) {
        const { command, rest } = next;
        received = rest;
        if (command[0] !== "SET") {
          say(greeting ?? greet(command));
          continue;
        }
        commands.push(command);
        if (typeof set === "string") {
          say(set);
          continue;
        }
        socket.removeAllListeners("data").write(set.last);
        if (set.close) {
          socket.destroy();
        }
        return;
      }
    });
  });
  const port = await listen(server);
  return {
    port,
    commands,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) {
        socket.destroy();
      }
      return closed;
    },
  };
}

/** What clients want to hear before they send a command of their user. */
function greet([name = ""]: readonly string[]): string {
  switch (name.toUpperCase()) {
    case "HELLO":
      return "%3\r\n+server\r\n+redis\r\n+version\r\n+7.0.0\r\n+proto\r\n:3";
    case "INFO":
      return bulk("redis_version:7.0.0\r\nrole:master\r\nloading:0\r\n");
    default:
      return "+OK";
  }
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}`;
}

/** The first command in what was received, if it is there to its end. */
function readCommand(received: string): { command: string[]; rest: string } | undefined {
  const count = Number(/^\*(\d+)\r\n/.exec(received)?.[1]);
  let at = received.indexOf("\n") + 1;
  const command: string[] = [];
  while (command.length < count) {
    const length = Number(/^\$(\d+)\r\n/.exec(received.slice(at))?.[1]);
    at = received.indexOf("\n", at) + 1;
    if (!(at + length + 2 <= received.length)) {
      return undefined;
    }
    command.push(received.slice(at, at + length));
    at += length + 2;
  }
  return command.length === 0 ? undefined : { command, rest: received.slice(at) };
}
