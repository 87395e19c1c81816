/** The newest DPoP nonce of each origin (RFC 9449 §8.2). */
export interface DpopNonces {
  /**
   * The nonce for a request. The first request to an origin goes without, and
   * finds out whether the server wants one; those beside it wait for its answer,
   * a second at most, so that they need not all be refused.
   */
  get(url: string): Promise<string | undefined>;
  /** Keeps what an answer from this URL said: a nonce, or nothing of it. */
  note(url: string, nonce: string | null): void;
}

interface Origin {
  nonce?: string;
  readonly isKnown: Promise<void>;
  readonly setKnown: () => void;
}

const probeTimeoutMs = 1000;
const maxOrigins = 100;

/** Makes a store of nonces. Those of authorization servers and of APIs belong in stores apart. */
export function createDpopNonces(): DpopNonces {
  const origins = new Map<string, Origin>();
  const add = (origin: string) => {
    let setKnown = () => {};
    const isKnown = new Promise<void>((resolve) => {
      setKnown = resolve;
      AbortSignal.timeout(probeTimeoutMs).addEventListener("abort", () => resolve());
    });
    const entry = { isKnown, setKnown };
    for (const oldest of origins.keys()) {
      if (origins.size < maxOrigins) {
        break;
      }
      origins.delete(oldest);
    }
    origins.set(origin, entry);
    return entry;
  };
  return {
    async get(url) {
      const { origin } = new URL(url);
      const known = origins.get(origin);
      if (!known) {
        add(origin);
        return undefined;
      }
      await known.isKnown;
      return known.nonce;
    },
    note(url, nonce) {
      const { origin } = new URL(url);
      const entry: Origin = origins.get(origin) ?? add(origin);
      // RFC 9449 §8.1: the characters that a nonce may have
      if (nonce !== null && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(nonce)) {
        entry.nonce = nonce;
      }
      entry.setKnown();
    },
  };
}
