/** The style of the page with the access matrix: light and dark, wide and narrow. */
export const pageStyle: string = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de; --field: #8c959f; --code: #f3f4f6;
  --public: #ffe9a8; --focus: #0550ae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --text: #e6edf3; --quiet: #9aa4af; --line: #30363d; --field: #6e7681; --code: #1f2630;
    --public: #5a4300; --focus: #79c0ff;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; padding: 1rem; max-width: 75rem; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.125rem; margin: 2rem 0 0.25rem; }
p { margin: 0.25rem 0; }
form { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: end; margin-top: 1rem; }
form p { margin: 0; flex: 1 1 8rem; min-width: 0; }
form .wide { flex-basis: 100%; }
label { display: block; font-size: 0.875rem; }
input, select, button { font: inherit; width: 100%; min-height: 2.75rem; padding: 0.25rem 0.5rem; border: 1px solid var(--field); border-radius: 0.25rem; background: var(--page); color: var(--text); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { text-align: start; vertical-align: top; font-weight: normal; padding: 0.5rem 0.5rem 0.5rem 0; border-bottom: 1px solid var(--line); }
thead th { font-size: 0.875rem; color: var(--quiet); }
code { font: 0.875rem/1.5 ui-monospace, monospace; background: var(--code); border-radius: 0.25rem; padding: 0.125rem 0.25rem; }
th > code { background: none; padding: 0; font-weight: 600; }
small { display: block; font-size: 0.875rem; color: var(--quiet); }
strong { background: var(--public); border-radius: 0.25rem; padding: 0.125rem 0.375rem; }
@media (max-width: 40rem) {
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  tr { padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
  tr > * { border: 0; padding: 0.125rem 0; }
  td:empty { display: none; }
  td[data-label]::before { content: attr(data-label) ": "; color: var(--quiet); font-size: 0.875rem; }
}
@media print { form { display: none; } }
`;
