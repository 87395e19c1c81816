/** The script of the page with the access matrix: it shows the rows that the filters ask for. */
export const pageScript: string = `
"use strict";
const form = document.querySelector("form");
const [words, kind, role, scope] = ["words", "kind", "role", "scope"].map((name) =>
  document.getElementById("filter-" + name),
);
const status = form.querySelector("[role=status]");
const texts = (row, selector) => Array.from(row.querySelectorAll(selector), (code) => code.textContent);
const sections = Array.from(document.querySelectorAll("section"), (section) => ({
  section,
  rows: Array.from(section.querySelectorAll("tbody tr"), (row) => ({
    row,
    text: [section.querySelector("h2").textContent, row.textContent].join(" ").toLowerCase(),
    kind: row.dataset.kind,
    roles: texts(row, "[data-role]"),
    scopes: texts(row, "[data-scope]"),
  })),
}));
const total = sections.reduce((sum, { rows }) => sum + rows.length, 0);
function show() {
  const wanted = words.value.toLowerCase().split(/\\s+/);
  let count = 0;
  for (const { section, rows } of sections) {
    let visible = 0;
    for (const { row, ...method } of rows) {
      row.hidden = !(
        wanted.every((word) => method.text.includes(word)) &&
        (kind.value === "" || method.kind === kind.value) &&
        (role.value === "" || method.roles.includes(role.value)) &&
        (scope.value === "" || method.scopes.includes(scope.value))
      );
      visible += row.hidden ? 0 : 1;
    }
    section.hidden = visible === 0 && rows.length > 0;
    count += visible;
  }
  status.textContent = count + " of " + total + (total === 1 ? " method" : " methods");
}
form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(show)); // the fields change after the event
form.hidden = false;
show();
`;
