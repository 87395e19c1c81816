/** The name of a header in lower case. Throws `TypeError` for what is none (RFC 9110 §5.1). */
export function checkHeaderName(option: string, name: string): string {
  if (typeof name !== "string" || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw new TypeError(`${option} ${JSON.stringify(name)} must be the name of a header`);
  }
  return name.toLowerCase();
}
