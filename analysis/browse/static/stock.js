// Datasette's own pages: names for what is only seen, and `/` for the search.

for (const select of document.querySelectorAll("select:not([aria-label])")) {
  if (select.closest("label")) continue;
  const names = { _filter_column: "Column to filter", _filter_op: "How to compare", _sort: "Sort by" };
  const known = Object.entries(names).find(([name]) => select.name.startsWith(name));
  select.setAttribute("aria-label", known ? known[1] : select.name);
}
for (const input of document.querySelectorAll("input.filter-value:not([aria-label])")) input.setAttribute("aria-label", "Value to compare with");
const nameEditors = () => {
  for (const editor of document.querySelectorAll("#sql-editor, .CodeMirror textarea")) editor.setAttribute("aria-label", "SQL");
};
nameEditors();
addEventListener("load", nameEditors); // Datasette makes its editor when the page is loaded
for (const box of document.querySelectorAll(".table-wrapper, pre.wrapped-sql, #sql-query")) box.tabIndex = 0;

// Datasette's script for tables gives each heading a symbol without a name.
new MutationObserver(() => nameSymbols()).observe(document.body, { childList: true, subtree: true });
function nameSymbols() {
  for (const symbol of document.querySelectorAll("svg.dropdown-menu-icon:not([aria-hidden])")) symbol.setAttribute("aria-hidden", "true");
}
nameSymbols();

// What the columns mean, behind one line; words between backticks as code.
for (const list of document.querySelectorAll("dl.column-descriptions")) {
  const details = document.createElement("details");
  details.className = "columns";
  const summary = document.createElement("summary");
  summary.textContent = `What the ${list.querySelectorAll("dt").length} columns mean`;
  list.replaceWith(details);
  details.append(summary, list);
}
for (const words of document.querySelectorAll("dl.column-descriptions dd, .metadata-description, .named p")) {
  const pieces = words.textContent.split("`");
  if (pieces.length < 3) continue;
  words.replaceChildren(...pieces.map((piece, n) => {
    if (n % 2 === 0) return piece;
    const code = document.createElement("code");
    code.textContent = piece;
    return code;
  }));
}

// All of the archive is private: a lock beside everything says nothing.
const texts = document.createTreeWalker(document.querySelector("main") ?? document.body, NodeFilter.SHOW_TEXT);
for (let text = texts.nextNode(); text; text = texts.nextNode()) {
  if (text.data.endsWith(" 🔒") && !text.parentElement.closest("table, pre, textarea")) text.data = text.data.slice(0, -3);
}

// On paper the rows of wide tables are written one value under the other, each with its column.
for (const table of document.querySelectorAll("table.rows-and-columns")) {
  const names = [...table.querySelectorAll("thead th")].map((heading) => heading.dataset.column ?? heading.textContent.trim());
  table.classList.toggle("many", names.length > 8);
  for (const row of table.tBodies[0]?.rows ?? []) {
    [...row.cells].forEach((cell, n) => {
      cell.dataset.column = names[n] ?? "";
      cell.classList.toggle("blank", !cell.textContent.trim() && !cell.querySelector("img"));
    });
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, .CodeMirror")) return;
  event.preventDefault();
  document.querySelector("#find")?.focus();
});
