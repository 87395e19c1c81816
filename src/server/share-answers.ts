import { ConnectError } from "@connectrpc/connect";
import { createSteadyClock } from "../steady-clock.js";
import { cannotVerify } from "./refusal.js";
import { checkGoesOn, type WaitForAnswer, waitForAnswer } from "./wait-for-answer.js";

/**
 * Asks, or waits for the answer that another call with the same key is waiting
 * for. Throws `Unavailable` where the call ends first, or too many questions
 * have no answer.
 */
export type ShareAnswers<T> = (
  key: string,
  signal: AbortSignal,
  ask: () => Promise<T>,
) => Promise<T>;

interface Question<T> {
  readonly key: string;
  readonly askedAt: number;
  readonly wait: WaitForAnswer<T>;
}

/** How long calls join a question that has no answer. The next one asks anew: it may be lost. */
const joinableMs = 10_000;

/** How often a question is asked in place of a lost one, where there are too many. */
const replaceMs = 1_000;

/**
 * Makes calls that bring the same key at once share one answer. A question may
 * hang for ever, and holds memory then: above `maxQuestions` without an answer,
 * calls are refused, but one each second, which finds out whether answers come
 * again.
 */
export function shareAnswers<T>(maxQuestions: number): ShareAnswers<T> {
  /** By key, the last one of each. */
  const joinable = new Map<string, Question<T>>();
  /** The oldest first; also those that calls join no longer. */
  const unanswered = new Set<Question<T>>();
  const now = createSteadyClock();
  let replacedAt = Number.NEGATIVE_INFINITY;

  function forget(question: Question<T>): void {
    unanswered.delete(question);
    if (joinable.get(question.key) === question) {
      joinable.delete(question.key);
    }
  }

  function makeRoom(time: number): void {
    const [oldest] = unanswered;
    if (oldest === undefined || unanswered.size < maxQuestions) {
      return;
    }
    if (time < oldest.askedAt + joinableMs || time < replacedAt + replaceMs) {
      throw cannotVerify(`${unanswered.size} credentials are being verified, without an answer`);
    }
    replacedAt = time;
    forget(oldest);
  }

  function begin(key: string, askedAt: number, ask: () => Promise<T>): Question<T> {
    makeRoom(askedAt);
    const answer = ask();
    const question = { key, askedAt, wait: waitForAnswer(answer) };
    joinable.set(key, question);
    unanswered.add(question);
    const answered = () => forget(question);
    answer.then(answered, answered);
    return question;
  }

  return async (key, signal, ask) => {
    checkGoesOn(signal);
    const time = now();
    const others = joinable.get(key);
    if (others === undefined || time >= others.askedAt + joinableMs) {
      return begin(key, time, ask).wait(signal);
    }
    try {
      return await others.wait(signal);
    } catch (error) {
      throw copyOf(error);
    }
  };
}

/** Each call completes its refusal by itself. */
function copyOf(error: unknown): unknown {
  return error instanceof ConnectError
    ? new ConnectError(error.rawMessage, error.code, error.metadata, undefined, error.cause)
    : error;
}
