import type { DescService } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";
import { commentText, docText, withDeprecation } from "./doc-text.js";
import { printClientTypes } from "./print-client-types.js";
import type { ServicePrint } from "./print-service.js";
import { type Reach, reachOf, slotsOf } from "./reach.js";

/** Prints the types of a service's clients, and the function that makes them. */
export function printClient(print: ServicePrint): void {
  const reach = reachOf(print.methods);
  if (print.target === "js") {
    printFactoryDoc(print, reach);
    printImplementation(print, "", "");
    return;
  }
  printClientTypes(print, reach);
  printFactoryDoc(print, reach);
  printSignatures(print, reach);
  if (print.target === "ts") {
    const { f, service } = print;
    const args = f.import("ServiceClientArgs", "connectrpc-auth", true);
    const client = slotsOf(reach).length > 0 ? "PublicClient" : "Client";
    printImplementation(print, [": ", args], `: ${service.name}${client}`);
  }
}

/** With credentials the type of the client depends on them; without, there is one type. */
function printSignatures({ f, target, service }: ServicePrint, reach: Reach): void {
  const { name } = service;
  const create = f.export(target === "ts" ? "function" : "declare function", factoryName(service));
  const runtime = (type: string) => f.import(type, "connectrpc-auth", true);
  const Transport = f.import("Transport", "@connectrpc/connect", true);
  const shared = f.jsDoc(
    withDeprecation(
      service,
      `Makes a client of ${service.typeName} on a transport that \`createAuthTransport()\` made.`,
    ),
  );

  if (slotsOf(reach).length === 0) {
    f.print`${create}<O extends ${runtime("TransportOptions")}>(`;
    f.print`  createTransport: (options: O) => ${Transport},`;
    f.print`  options: NoInfer<O>,`;
    f.print`): ${name}Client;`;
    f.print(shared);
    f.print`${create}(transport: ${runtime("AuthTransport")}): ${name}Client;`;
  } else {
    f.print`${create}<O extends ${runtime("TransportOptions")}, const A extends ${runtime("AuthOptions")} = {}>(`;
    f.print`  createTransport: (options: O) => ${Transport},`;
    f.print`  options: NoInfer<O>,`;
    f.print`  auth?: ${runtime("Exact")}<A>,`;
    f.print`): ${name}ClientWith<${runtime("Slots")}<A>>;`;
    f.print(shared);
    f.print`${create}<S extends string>(transport: ${runtime("AuthTransport")}<S>): ${name}ClientWith<S>;`;
  }
}

function printImplementation(
  { f, service, policies }: ServicePrint,
  args: Printable,
  returns: Printable,
): void {
  const createServiceClient = f.import("createServiceClient", "connectrpc-auth");
  f.print`${f.export("function", factoryName(service))}(...args${args})${returns} {`;
  f.print`  return ${createServiceClient}(${policies}, args);`;
  f.print`}`;
  f.print();
}

function printFactoryDoc({ f, service }: ServicePrint, reach: Reach): void {
  const [slot] = slotsOf(reach);
  const what = `Makes a client of ${service.typeName}: from any function that makes a Connect transport`;
  const call = `const client = ${factoryName(service)}(createConnectTransport, { baseUrl: "https://api.example.com" }`;
  const paragraphs =
    slot === undefined
      ? [
          `${what} and its options.`,
          commentText(service),
          "No method needs credentials.",
          ["```ts", `${call});`, "```"].join("\n"),
        ]
      : [
          `${what}, its options, and the credentials.`,
          commentText(service),
          whatReaches(reach),
          [
            "```ts",
            `${call}, {`,
            `  ${slot}: async () => Auth.jwt(await getToken()),`,
            "});",
            "```",
          ].join("\n"),
        ];
  f.print(f.jsDoc(docText(service, ...paragraphs)));
}

/** A list: with these credentials, these methods. */
function whatReaches(reach: Reach): string {
  const needs = ["nothing", "credentials", "internalCredentials"] as const;
  return needs
    .filter((need) => reach[need].length > 0)
    .flatMap((need) => {
      const names = reach[need].map((name) => `\`${name}\``).join(", ");
      const given = need === "nothing" ? "without credentials" : `with \`${need}\``;
      return wrap(`- ${given}: ${names}`);
    })
    .join("\n");
}

/** Breaks a list item into lines. */
function wrap(item: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of item.split(" ")) {
    if (line.length + word.length > 90) {
      lines.push(line);
      line = " ";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

function factoryName({ name }: DescService): string {
  return `create${name}Client`;
}
