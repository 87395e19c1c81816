import type { DescService } from "@bufbuild/protobuf";
import type { GeneratedFile } from "@bufbuild/protoplugin";
import { docText, withDeprecation } from "./doc-text.js";
import { printClientTypes } from "./print-client-types.js";
import type { ServicePrint } from "./print-service.js";
import { type Reach, slotsOf } from "./reach.js";

/** Prints the types of a service's clients, and the function that makes them. */
export function printClient(print: ServicePrint): void {
  const { f, target } = print;
  switch (target) {
    case "ts": {
      printClientTypes(print);
      printFactoryDoc(print);
      printSignatures(print);
      printImplementation(print);
      break;
    }
    case "dts":
      printClientTypes(print);
      printFactoryDoc(print);
      printSignatures(print);
      f.print();
      break;
    case "js":
      printFactoryDoc(print);
      printImplementation(print);
      break;
  }
}

/**
 * Where a method needs a credential, the type of the client depends on what is
 * given. There is no optional third parameter for that: of an argument that may
 * be `undefined`, the compiler would see only what it is otherwise.
 */
function printSignatures({ f, target, service, names, reach }: ServicePrint): void {
  const create = f.export(target === "ts" ? "function" : "declare function", names.createClient);
  const runtime = (type: string) => f.import(type, "connectrpc-auth", true);
  const Transport = f.import("Transport", "@connectrpc/connect", true);
  const needsCredentials = slotsOf(reach).length > 0;

  if (needsCredentials) {
    f.print`${create}<O extends ${runtime("TransportOptions")}, const A extends ${runtime("AuthOptions")} | undefined>(`;
    f.print`  createTransport: (options: O) => ${Transport},`;
    f.print`  options: NoInfer<O>,`;
    f.print`  auth: ${runtime("Exact")}<A>,`;
    f.print`): ${names.clientWith}<${runtime("Slots")}<A>>;`;
    printShortDoc(f, service, "without credentials: only its public methods can be called");
  }
  f.print`${create}<O extends ${runtime("TransportOptions")}>(`;
  f.print`  createTransport: (options: O) => ${Transport},`;
  f.print`  options: NoInfer<O>,`;
  f.print`): ${needsCredentials ? names.publicClient : names.client};`;
  printShortDoc(f, service, "on a transport that `createAuthTransport()` made");
  if (needsCredentials) {
    f.print`${create}<S extends string>(transport: ${runtime("AuthTransport")}<S>): ${names.clientWith}<S>;`;
  } else {
    f.print`${create}(transport: ${runtime("AuthTransport")}): ${names.client};`;
  }
}

function printShortDoc(f: GeneratedFile, service: DescService, how: string): void {
  const doc = `Makes a client of ${service.typeName} ${how}.`;
  f.print(f.jsDoc(withDeprecation(service, doc)));
}

/**
 * In TypeScript, callers see the signatures above only. So the types here are
 * the plainest that hold: the compiler compares them with each of these.
 */
function printImplementation({ f, target, names }: ServicePrint): void {
  const createServiceClient = f.import("createServiceClient", "connectrpc-auth");
  const isTyped = target === "ts";
  const argsType = isTyped ? [": ", f.import("ServiceClientArgs", "connectrpc-auth", true)] : "";
  const returnType = isTyped ? ": object" : "";
  f.print`${f.export("function", names.createClient)}(...args${argsType})${returnType} {`;
  f.print`  return ${createServiceClient}(${names.policies}, args);`;
  f.print`}`;
  f.print();
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
