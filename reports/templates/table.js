// The main table: sorted by the header that is pressed, each part by itself so that the baselines stay in sight; models
// filtered by name, columns chosen. The view keeps all of it: #sort=1.asc&rows=qwen&hide=4.5

function makeSortable(table) {
  for (const header of table.querySelectorAll("thead th")) {
    const button = el("button", { type: "button", textContent: header.textContent });
    button.addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") === "descending";
      sort(header, ascending);
      change("sort", header.cellIndex + (ascending ? ".asc" : ".desc"));
    });
    header.replaceChildren(button);
  }
}

function sort(header, ascending) {
  const column = header.cellIndex;
  const key = (row) => row.cells[column].dataset.value;
  const text = (row) => row.cells[column].querySelector(".who")?.textContent || "";
  const order = (a, b) => {
    if (column === 0) return text(a).localeCompare(text(b), "en") * (ascending ? -1 : 1);
    if (key(a) === undefined || key(b) === undefined) return (key(a) === undefined) - (key(b) === undefined);
    return (key(a) - key(b)) * (ascending ? 1 : -1);
  };
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  for (const body of header.closest("table").tBodies) {
    body.append(...[...body.rows].filter((row) => !row.classList.contains("part")).sort(order)); // not its heading
  }
}

// As the view says, where it does.
function sortAsLinked(table) {
  const [column, direction] = (view.get("sort") || "").split(".");
  const header = column ? table.tHead.rows[0].cells[column] : null;
  if (header) sort(header, direction === "asc");
}

function filterRows(table, text) {
  const needle = text.trim().toLowerCase();
  for (const row of table.querySelectorAll("tr.model, tr.published")) {
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(needle);
  }
  for (const body of table.tBodies) {
    body.rows[0].hidden = [...body.rows].slice(1).every((row) => row.hidden);
  }
}

function hideColumns(table, hidden) {
  for (const row of table.rows) {
    if (row.cells.length === 1) continue; // the heading of a part
    for (const cell of row.cells) cell.hidden = hidden.has(String(cell.cellIndex));
  }
}

// Boxes for the columns after the name, and buttons for all of them and for the suites alone.
function makeChooser(table, panel) {
  const heads = [...table.tHead.rows[0].cells].slice(1);
  const boxes = heads.map((head) => el("input", { type: "checkbox", value: String(head.cellIndex), checked: true }));
  const say = () => change("hide", boxes.filter((box) => !box.checked).map((box) => box.value).join("."));
  const set = (wanted) => {
    boxes.forEach((box, k) => { box.checked = wanted(heads[k]); });
    say();
    show();
  };
  const show = () => {
    const hidden = new Set((view.get("hide") || "").split("."));
    for (const box of boxes) box.checked = !hidden.has(box.value);
    hideColumns(table, hidden);
  };
  const button = (name, wanted) => {
    const node = el("button", { type: "button", textContent: name });
    node.addEventListener("click", () => set(wanted));
    return node;
  };
  panel.append(
    el("p", {}, button("All", () => true), button("No tasks", (head) => !head.classList.contains("task"))),
    ...boxes.map((box, k) => el("label", { title: heads[k].title }, box, heads[k].textContent)));
  panel.addEventListener("input", () => { say(); show(); });
  return show;
}
