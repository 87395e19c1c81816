import type { Printable } from "@bufbuild/protoplugin";
import { docText } from "./doc-text.js";
import { printClientTypes } from "./print-client-types.js";
import type { ServicePrint } from "./print-service.js";
import { type Reach, type Slot, slotsOf } from "./reach.js";

/** Prints the types of a service's clients, and the function that makes them. */
export function printClient(print: ServicePrint): void {
  const { f, target, names } = print;
  if (target !== "js") {
    printClientTypes(print);
  }
  printFactoryDoc(print);
  const type = target === "js" ? "" : [": ", factoryType(print)];
  if (target === "dts") {
    f.print`${f.export("declare const", names.createClient)}${type};`;
  } else {
    const createClientFactory = f.import("createClientFactory", "connectrpc-auth");
    f.print`${f.export("const", names.createClient)}${type} = /*@__PURE__*/ ${createClientFactory}(${names.policies});`;
  }
  f.print();
}

/** Where a method needs a credential, the client depends on those that are given. */
function factoryType({ f, names, reach }: ServicePrint): Printable {
  const slots = slotsOf(reach);
  if (slots.length === 0) {
    return [f.import("PublicClientFactory", "connectrpc-auth", true), "<", names.client, ">"];
  }
  const withOnly = (slot: Slot, ofTwo: string) => {
    if (slots.length > 1) {
      return ofTwo;
    }
    return slots.includes(slot) ? names.client : names.publicClient;
  };
  const clients = [
    names.publicClient,
    withOnly("credentials", names.userClient),
    withOnly("internalCredentials", names.internalClient),
    names.client,
  ];
  return [f.import("ClientFactory", "connectrpc-auth", true), `<\n  ${clients.join(",\n  ")}\n>`];
}

function printFactoryDoc({ f, service, names, reach, comments }: ServicePrint): void {
  const [slot] = slotsOf(reach);
  const what = `Makes a client of ${service.typeName}: from any function that makes a Connect transport`;
  const call = `const client = ${names.createClient}(createConnectTransport, { baseUrl: "https://api.example.com" }`;
  const paragraphs =
    slot === undefined
      ? [
          `${what} and its options.`,
          comments(service),
          "No method needs credentials.",
          ["```ts", `${call});`, "```"].join("\n"),
        ]
      : [
          `${what}, its options, and the credentials.`,
          comments(service),
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
