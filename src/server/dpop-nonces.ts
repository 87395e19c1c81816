import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { checkKnownOptions } from "../known-options.js";

/** How nonces for DPoP proofs are made. */
export interface DpopNonceOptions {
  /** At least 32 bytes. Replicas that share it take the nonces of each other. */
  readonly secret: string | Uint8Array;
  /**
   * How long a nonce is given out, in seconds. It is accepted for as long
   * again after that. Default: 300.
   */
  readonly lifetimeSeconds?: number;
}

/** Nonces of a server (RFC 9449 §9). Nothing is stored. */
export interface DpopNonces {
  /** The nonce for the next proof. */
  current(): string;
  /** Whether a nonce is the current one or the one before it. */
  judge(nonce: unknown): "current" | "previous" | "unknown";
}

const minSecretBytes = 32;

/**
 * Makes nonces of a secret and of the time: whoever has both knows them, and
 * nobody else can guess one (RFC 9449 §8). `true`: with a secret of its own,
 * which no other process has. Throws `TypeError`.
 */
export function createDpopNonces(options: true | DpopNonceOptions): DpopNonces {
  const { secret, lifetimeSeconds = 300 } =
    options === true ? { secret: randomBytes(minSecretBytes) } : checked(options);
  const key = Buffer.from(secret);
  if (key.length < minSecretBytes) {
    throw new TypeError(
      `dpop.nonces.secret has ${key.length} bytes, it needs at least ${minSecretBytes}`,
    );
  }
  if (!(Number.isFinite(lifetimeSeconds) && lifetimeSeconds >= 1)) {
    throw new TypeError(
      `dpop.nonces.lifetimeSeconds ${lifetimeSeconds} must be a number of seconds, at least 1`,
    );
  }
  const currentStep = () => Math.floor(Date.now() / 1000 / lifetimeSeconds);
  const nonceOf = (step: number) =>
    createHmac("sha256", key).update(`connectrpc-auth DPoP nonce ${step}`).digest("base64url");

  return {
    current: () => nonceOf(currentStep()),
    judge(nonce) {
      if (typeof nonce !== "string") {
        return "unknown";
      }
      const step = currentStep();
      if (isEqual(nonce, nonceOf(step))) {
        return "current";
      }
      return isEqual(nonce, nonceOf(step - 1)) ? "previous" : "unknown";
    },
  };
}

function checked(options: DpopNonceOptions): DpopNonceOptions {
  checkKnownOptions("dpop.nonces", options, { secret: true, lifetimeSeconds: true });
  if (typeof options.secret !== "string" && !(options.secret instanceof Uint8Array)) {
    throw new TypeError("dpop.nonces.secret must be a string or a Uint8Array");
  }
  return options;
}

/** In constant time: a nonce is all that a forger of proofs lacks. */
function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
