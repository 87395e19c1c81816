import { type Mutant, mutantsOf } from "./mutants-of.js";

/** A module that is tested with mistakes in it. */
export interface Subject<T> {
  readonly source: string;
  /** Makes what is checked of the source of the module. */
  load(source: string): T;
  readonly checks: readonly Check<T>[];
}

/** One thing that must hold. */
export interface Check<T> {
  readonly name: string;
  /** Throws where it does not hold. */
  check(module: T): void;
}

/** The mutants of a module that pass all of its checks. */
export function survivors<T>({ source, load, checks }: Subject<T>): Mutant[] {
  return mutantsOf(source).filter((mutant) => {
    const module = load(mutant.source);
    return checks.every(({ check }) => holds(() => check(module)));
  });
}

function holds(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
