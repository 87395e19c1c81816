/** How long, and how often, two things are measured. */
export interface CompareOptions {
  /** Pairs of rounds. Their median counts, so that a noisy neighbour does not. */
  readonly rounds: number;
  /** Calls in a round. */
  readonly callsPerRound: number;
  /** Whether a round comes first that does not count, for the compiler. Default: true. */
  readonly warmUp?: boolean;
}

/** Something that is measured. */
export type Subject = () => unknown;

/**
 * How many times longer `subject` takes than `baseline`. Both run in turns, and
 * swap places in each round: what slows the machine down slows both down.
 */
export async function compare(
  subject: Subject,
  baseline: Subject,
  { rounds, callsPerRound, warmUp = true }: CompareOptions,
): Promise<number> {
  const ratios: number[] = [];
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    let ratio: number;
    if (round % 2 === 0) {
      const time = await timeOf(subject, callsPerRound);
      ratio = time / (await timeOf(baseline, callsPerRound));
    } else {
      const time = await timeOf(baseline, callsPerRound);
      ratio = (await timeOf(subject, callsPerRound)) / time;
    }
    if (round >= 0) {
      ratios.push(ratio);
    }
  }
  return median(ratios);
}

/** The median times of several subjects, in the same order, from rounds that take turns. In nanoseconds. */
export async function timesPerCall<const S extends readonly Subject[]>(
  subjects: S,
  { rounds, callsPerRound, warmUp = true }: CompareOptions,
): Promise<{ [K in keyof S]: number }> {
  const times = subjects.map((): number[] => []);
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    for (const [index, subject] of subjects.entries()) {
      const time = await timeOf(subject, callsPerRound);
      if (round >= 0) {
        times[index]?.push(time / callsPerRound);
      }
    }
  }
  return times.map(median) as { [K in keyof S]: number };
}

async function timeOf(subject: Subject, calls: number): Promise<number> {
  const start = process.hrtime.bigint();
  for (let call = 0; call < calls; call++) {
    await subject();
  }
  return Number(process.hrtime.bigint() - start);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  const lower = sorted[Math.ceil(middle) - 1];
  if (upper === undefined || lower === undefined) {
    throw new TypeError("the median of nothing");
  }
  return (upper + lower) / 2;
}
