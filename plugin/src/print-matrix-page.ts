import { createHash } from "node:crypto";
import {
  type AccessMatrix,
  kindNames,
  type MethodAccess,
  type ServiceAccess,
} from "./access-matrix.js";
import { compareText } from "./compare-text.js";
import { pageScript } from "./matrix-page-script.js";
import { pageStyle } from "./matrix-page-style.js";

/**
 * Prints who may call what as a page that needs nothing else. Its policy
 * (Content-Security-Policy) lets nothing run or load but the style and the
 * script in it. Without JavaScript it is a plain table.
 */
export function printMatrixPage(matrix: AccessMatrix): string {
  const { summary, services } = matrix;
  const csp = [
    "default-src 'none'",
    `script-src ${sourceOf(pageScript)}`,
    `style-src ${sourceOf(pageStyle)}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${csp}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="protoc-gen-connect-auth">
<link rel="icon" href="data:,">
<title>Who may call what</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>Who may call what</h1>
<p>${text(summary)}</p>
</header>
${filters(matrix)}
<main>
${services.map(section).join("\n")}
</main>
<script>${pageScript}</script>
</body>
</html>
`;
}

function sourceOf(inline: string): string {
  return `'sha256-${createHash("sha256").update(inline).digest("base64")}'`;
}

/** Hidden until the script shows it. */
function filters({ services }: AccessMatrix): string {
  const methods = services.flatMap((service) => service.methods);
  const used = (items: (method: MethodAccess) => readonly string[]) =>
    [...new Set(methods.flatMap(items))].sort(compareText);
  const kinds = kindNames.filter(([kind]) => methods.some((method) => method.kind === kind));
  return `<form role="search" aria-label="Methods" autocomplete="off" hidden>
<p class="wide"><label for="filter-words">Search</label><input id="filter-words" type="search" spellcheck="false"></p>
${select("kind", "Kind", kinds)}
${select("role", "Role", pairs(used(({ roles }) => roles)))}
${select("scope", "Scope", pairs(used(({ scopes }) => scopes)))}
<p><button type="reset">Show all</button></p>
<p class="wide" role="status"></p>
</form>`;
}

function pairs(items: readonly string[]): [string, string][] {
  return items.map((item) => [item, item]);
}

function select(
  id: string,
  label: string,
  options: readonly (readonly [value: string, name: string])[],
): string {
  const items = options.map(([value, name]) => `<option value="${text(value)}">${text(name)}`);
  return `<p><label for="filter-${id}">${label}</label><select id="filter-${id}"><option value="">any${items.join("")}</select></p>`;
}

// The roles are said again because browsers forget them where the style makes
// a table something else, as it does on narrow screens.
function section({ name, about, methods }: ServiceAccess): string {
  return `<section aria-labelledby="${text(name)}">
<h2 id="${text(name)}">${text(name)}</h2>${about === "" ? "" : `\n<p><bdi>${text(about)}</bdi></p>`}
<table role="table" aria-labelledby="${text(name)}">
<thead role="rowgroup"><tr role="row">${columns.map((column) => `<th role="columnheader" scope="col">${column}</th>`).join("")}</tr></thead>
<tbody role="rowgroup">
${methods.map(row).join("\n")}
</tbody>
</table>
</section>`;
}

const columns = ["Method", "Who may call", "Roles, one of", "Scopes, all of"] as const;

function row({ name, kind, callers, roles, scopes, about, notes }: MethodAccess): string {
  const remarks = [about, ...notes].filter((remark) => remark !== "");
  const cells = [
    `<td role="cell" data-label="${columns[1]}">${kind === "public" ? "<strong>public</strong> " : ""}${text(callers)}</td>`,
    list(columns[2], "role", roles),
    list(columns[3], "scope", scopes),
  ];
  return `<tr role="row" data-kind="${kind}"><th role="rowheader" scope="row"><code>${text(name)}</code>${remarks
    .map((remark) => `<small><bdi>${text(remark)}</bdi></small>`)
    .join("")}</th>${cells.join("")}</tr>`;
}

function list(label: string, name: string, items: readonly string[]): string {
  const codes = items.map((item) => `<code data-${name}><bdi>${text(item)}</bdi></code>`);
  return `<td role="cell" data-label="${label}">${codes.join(" ")}</td>`;
}

function text(plain: string): string {
  return plain.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
