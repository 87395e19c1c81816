import { Code, ConnectError } from "@connectrpc/connect";

/** A refused call. */
export interface Refusal {
  readonly code: string;
  /** What the client is told. */
  readonly message: string;
  /** What the log of the server is told. */
  readonly reason: string | undefined;
}

/** How a call was refused. Throws where it was not, and what is no `ConnectError`. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    (value) => {
      throw new Error(`not refused: ${JSON.stringify(value)}`);
    },
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) {
    throw error;
  }
  const { code, rawMessage, cause } = error;
  return {
    code: Code[code],
    message: rawMessage,
    reason: cause instanceof Error ? cause.message : undefined,
  };
}
