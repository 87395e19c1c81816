const unitSeconds: readonly (readonly [RegExp, number])[] = [
  [/^s(ec(ond)?s?)?$/, 1],
  [/^m(in(ute)?s?)?$/, 60],
  [/^h((ou)?rs?)?$/, 3600],
  [/^d(ays?)?$/, 86_400],
  [/^w(eeks?)?$/, 604_800],
  [/^y((ea)?rs?)?$/, 31_557_600],
];

/** Throws `TypeError` for what is no number of seconds. `option` is its name for the message. */
export function checkSeconds(option: string, value: unknown): asserts value is number {
  if (!(typeof value === "number" && Number.isFinite(value) && value >= 0)) {
    throw new TypeError(`${option} ${show(value)} must be a number of seconds`);
  }
}

/** Seconds, given as such or as text: `90 s`, `2h`, `7 days`. Throws `TypeError` for anything else. */
export function parseDuration(option: string, value: unknown): number {
  if (typeof value === "string") {
    const [, amount, unit = ""] = /^(\d+(?:\.\d+)?) ?([a-z]+)$/i.exec(value) ?? [];
    const [, unitLength] = unitSeconds.find(([form]) => form.test(unit.toLowerCase())) ?? [];
    const seconds = Number(amount) * Number(unitLength);
    if (Number.isFinite(seconds)) {
      return seconds;
    }
  } else if (typeof value === "number" && Number.isFinite(value) && value >= 0) {
    return value;
  }
  throw new TypeError(`${option} ${show(value)} must be a number of seconds, or text such as "2h"`);
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
