// A table that sorts by the header that is pressed; its parts are sorted each by itself, so that the baselines stay in sight.

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
