import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";
import { withDeprecation } from "./doc-text.js";
import type { ServicePrint } from "./print-service.js";
import { type Reach, slotsOf } from "./reach.js";

/** Prints the types of a service's clients, one for each choice of credentials that differs. */
export function printClientTypes(print: ServicePrint, reach: Reach): void {
  const { f, schema } = print;
  const { name } = print.service;
  const all = [
    f.import("Client", "@connectrpc/connect", true),
    "<typeof ",
    schema.toTypeOnly(),
    ">",
  ];
  const only = (methods: readonly string[]) => ["Pick<", all, ", ", union(f, methods), ">"];
  const allBut = (methods: readonly string[]) => ["Omit<", all, ", ", union(f, methods), ">"];

  const slots = slotsOf(reach);
  const [slot] = slots;
  if (slot === undefined) {
    const why = reach.nothing.length > 0 ? "All of its methods are public" : "It has no methods";
    printInterface(print, "Client", all, `A client of ${name}. ${why}: no credentials are needed.`);
    return;
  }

  const pass = slots.map((option) => `\`${option}\``).join(" or ");
  if (reach.nothing.length > 0) {
    const doc = `A client of ${name} without credentials: its public methods. Pass ${pass} for the others.`;
    printInterface(print, "PublicClient", only(reach.nothing), doc);
  } else {
    const doc = `A client of ${name} without credentials: nothing, because no method is public. Pass ${pass}.`;
    printInterface(print, "PublicClient", undefined, doc);
  }

  if (slots.length === 1) {
    const doc = `A client of ${name} with \`${slot}\`: all of its methods.`;
    printInterface(print, "Client", all, doc);
    printClientWith(print, `"${slot}" extends S ? ${name}Client : ${name}PublicClient`);
    return;
  }

  const doc = `A client of ${name} with \`credentials\`: all but its internal methods, which need \`internalCredentials\`.`;
  printInterface(print, "UserClient", allBut(reach.internalCredentials), doc);
  const which = reach.nothing.length > 0 ? "public and internal" : "internal";
  printInterface(
    print,
    "InternalClient",
    allBut(reach.credentials),
    `A client of ${name} with \`internalCredentials\`: its ${which} methods. The others need \`credentials\`.`,
  );
  printInterface(print, "Client", all, `A client of ${name} with both: all of its methods.`);
  printClientWith(
    print,
    `"credentials" extends S
  ? "internalCredentials" extends S ? ${name}Client : ${name}UserClient
  : "internalCredentials" extends S ? ${name}InternalClient : ${name}PublicClient`,
  );
}

function printInterface(
  { f, service }: ServicePrint,
  suffix: string,
  base: Printable | undefined,
  doc: string,
): void {
  const heritage = base === undefined ? "" : [" extends ", base];
  f.print(f.jsDoc(withDeprecation(service, doc)));
  f.print`${f.export("interface", `${service.name}${suffix}`)}${heritage} {}`;
  f.print();
}

function printClientWith({ f, service }: ServicePrint, body: string): void {
  const doc = `What a client of ${service.name} can call with the credentials named in \`S\`.`;
  f.print(f.jsDoc(withDeprecation(service, doc)));
  f.print`${f.export("type", `${service.name}ClientWith`)}<S> = ${body};`;
  f.print();
}

/** A few on one line, more on a line each. */
function union(f: GeneratedFile, names: readonly string[]): Printable {
  return names.length < 4
    ? names.map((name, i) => [i === 0 ? "" : " | ", f.string(name)])
    : [names.map((name) => ["\n  | ", f.string(name)]), "\n"];
}
