// Shows the functions that have all words, those with the words in their names first.
const box = document.getElementById("search");
const found = document.getElementById("found");
const page = document.getElementById("page");

function worth(word, [name, summary, , text]) {
  const short = name.split("::").pop().toLowerCase();
  if (short === word) return 32;
  if (short.includes(word)) return 8;
  if (summary.toLowerCase().includes(word)) return 6;
  if (name.toLowerCase().includes(word)) return 4;
  return text.includes(word) ? 1 : 0;
}

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter((word) => word);
  page.hidden = words.length > 0;
  found.hidden = !page.hidden;
  if (!page.hidden) return;
  const rows = FUNCTIONS.map((row) => [words.map((word) => worth(word, row)), row])
    .filter(([parts]) => parts.every((part) => part > 0))
    .map(([parts, row]) => [parts.reduce((sum, part) => sum + part, 0), row])
    .sort((a, b) => b[0] - a[0] || (a[1][0] < b[1][0] ? -1 : 1));
  found.textContent = "";
  const head = document.createElement("h1");
  head.textContent = rows.length === 0 ? "Nothing found" : rows.length === 1 ? "1 function" : `${rows.length} functions`;
  const table = document.createElement("table");
  table.className = "list";
  for (const [, [name, summary, address]] of rows) {
    const link = document.createElement("a");
    const code = document.createElement("code");
    link.href = address;
    link.onclick = () => { box.value = ""; search(); };
    code.textContent = name;
    link.append(code);
    const row = table.insertRow();
    row.insertCell().append(link);
    row.insertCell().textContent = summary.replaceAll("`", "");
  }
  found.append(head, table);
}

box.addEventListener("input", search);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
  if (event.key === "Escape") { box.value = ""; search(); }
});
const asked = new URLSearchParams(location.search).get("search");
if (asked) { box.value = asked; search(); }
