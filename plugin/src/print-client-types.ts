import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";
import { withDeprecation } from "./doc-text.js";
import type { ServicePrint } from "./print-service.js";
import { slotsOf } from "./reach.js";

/** Prints the types of a service's clients: one for each choice of credentials that differs. */
export function printClientTypes(print: ServicePrint): void {
  const { f, service, schema, names, reach } = print;
  const { client, publicClient, userClient, internalClient } = names;
  const ServiceClient = f.import("ServiceClient", "connectrpc-auth", true);
  const all = [ServiceClient, "<typeof ", schema.toTypeOnly(), ">"];
  const only = (methods: readonly string[]) => [
    ...[ServiceClient, "<typeof ", schema.toTypeOnly(), ",", union(f, methods), ">"],
  ];
  const a = `A client of ${service.name}`;

  const slots = slotsOf(reach);
  const [slot] = slots;
  const hasPublic = reach.nothing.length > 0;
  if (slot === undefined) {
    const why = hasPublic ? "All of its methods are public" : "It has no methods";
    printType(print, client, all, `${a}. ${why}: no credentials are needed.`);
    return;
  }

  const pass = `Pass ${slots.map((option) => `\`${option}\``).join(" or ")}`;
  if (hasPublic) {
    const doc = `${a} without credentials: its public methods. ${pass} for the others.`;
    printType(print, publicClient, only(reach.nothing), doc);
  } else {
    const doc = `${a} without credentials: nothing to call, because no method is public. ${pass}.`;
    printType(print, publicClient, undefined, doc);
  }

  if (slots.length === 1) {
    printType(print, client, all, `${a} with \`${slot}\`: all of its methods.`);
    printClientWith(print, `"${slot}" extends S ? ${client} : ${publicClient}`);
    return;
  }

  printType(
    print,
    userClient,
    only([...reach.nothing, ...reach.credentials]),
    `${a} with \`credentials\`: all but its internal methods, which need \`internalCredentials\`.`,
  );
  printType(
    print,
    internalClient,
    only([...reach.nothing, ...reach.internalCredentials]),
    `${a} with \`internalCredentials\`: its ${hasPublic ? "public and " : ""}internal methods. The others need \`credentials\`.`,
  );
  printType(print, client, all, `${a} with both kinds of credentials: all of its methods.`);
  printClientWith(
    print,
    `"credentials" extends S
  ? "internalCredentials" extends S ? ${client} : ${userClient}
  : "internalCredentials" extends S ? ${internalClient} : ${publicClient}`,
  );
}

/** An alias, and no interface that extends the type: compilers look into an alias only where it is used. */
function printType(
  { f, service }: ServicePrint,
  name: string,
  base: Printable | undefined,
  doc: string,
): void {
  f.print(f.jsDoc(withDeprecation(service, doc)));
  if (base === undefined) {
    f.print`${f.export("interface", name)} {}`;
  } else {
    f.print`${f.export("type", name)} = ${base};`;
  }
  f.print();
}

function printClientWith({ f, service, names }: ServicePrint, body: string): void {
  const doc = `What a client of ${service.name} can call with the credentials named in \`S\`.`;
  f.print(f.jsDoc(withDeprecation(service, doc)));
  f.print`${f.export("type", names.clientWith)}<S> = ${body};`;
  f.print();
}

/** A few on one line, more on a line each. */
function union(f: GeneratedFile, names: readonly string[]): Printable {
  return names.length < 4
    ? names.map((name, i) => [i === 0 ? " " : " | ", f.string(name)])
    : [names.map((name) => ["\n  | ", f.string(name)]), "\n"];
}
