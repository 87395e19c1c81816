/** The newest DPoP nonce of each origin (RFC 9449 §8.2). */
export interface DpopNonces {
  /**
   * The nonce for a request. The first request to an origin goes without, and
   * finds out whether the server wants one; those beside it wait for its answer,
   * 300 ms at most, so that they need not all be refused.
   */
  get(url: string): string | undefined | Promise<string | undefined>;
  /** Keeps what an answer from this URL said: a nonce, or nothing of it. `null` also where none came. */
  note(url: string, nonce: string | null): void;
}

interface Origin {
  nonce?: string;
  /** The first answer, while it is awaited. */
  answer?: Promise<void> | undefined;
  answered: () => void;
}

/** A refusal for want of a nonce takes a round trip. An answer that takes longer is another one. */
const probeTimeoutMs = 300;
const maxOrigins = 100;

/** Makes a store of nonces. Those of authorization servers and of APIs belong in stores apart. */
export function createDpopNonces(): DpopNonces {
  const origins = new Map<string, Origin>();
  const add = (origin: string) => {
    const entry: Origin = { answered() {} };
    entry.answer = new Promise((resolve) => {
      entry.answered = () => {
        clearTimeout(timer);
        entry.answer = undefined;
        resolve();
      };
      // unlike AbortSignal.timeout it keeps the process alive for those who wait
      const timer = setTimeout(() => entry.answered(), probeTimeoutMs);
    });
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
    get(url) {
      const origin = originOf(url);
      const known = origins.get(origin);
      if (!known) {
        add(origin);
        return undefined;
      }
      return known.answer ? known.answer.then(() => known.nonce) : known.nonce;
    },
    note(url, nonce) {
      const origin = originOf(url);
      const entry = origins.get(origin) ?? add(origin);
      // RFC 9449 §8.1: the characters that a nonce may have
      if (nonce !== null && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(nonce)) {
        entry.nonce = nonce;
      }
      entry.answered();
    },
  };
}

/** Up to the path. Two spellings of an origin have a nonce each, which costs less than parsing each URL. */
function originOf(url: string): string {
  return /^[^:]*:\/\/[^/?#]*/.exec(url)?.[0] ?? url;
}
