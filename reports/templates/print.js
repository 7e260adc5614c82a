// Tables that are wider than a sheet of paper are printed as several, one below the other: each has the columns that
// name the rows, `data-keys` of them, and as many others as fit. A figure whose table needs more room gets the whole width.

const ZOOM = 0.72; // of tables on paper, see style.css
const SHEET = 1046 / ZOOM; // pixels across A4 on its side, less the margins
const FIGURE = 246 / ZOOM; // four figures stand side by side

// The least widths of the columns of each table, in which no word is broken.
function leastWidths(tables) {
  for (const table of tables) table.classList.add("least");
  const found = tables.map((table) => [...table.tHead.rows[0].cells].map((cell) => cell.offsetWidth));
  for (const table of tables) table.classList.remove("least");
  return found;
}

const sum = (widths) => widths.reduce((total, width) => total + width, 0);

// Sets of columns that fit beside each other.
function blocks(table, widths) {
  const keys = widths.slice(0, Number(table.dataset.keys || 1));
  const whole = SHEET - sum(keys);
  const found = [];
  let room = 0;
  for (let column = keys.length; column < widths.length; column++) {
    if (!found.length || widths[column] > room) {
      found.push(new Set(keys.keys()));
      room = whole;
    }
    found.at(-1).add(column);
    room -= widths[column];
  }
  return found;
}

function withColumns(table, columns) {
  const copy = table.cloneNode(true);
  copy.classList.add("block");
  for (const row of copy.rows) {
    let at = 0;
    for (const cell of [...row.cells]) {
      const kept = Array.from({ length: cell.colSpan }, (_, k) => at + k).filter((column) => columns.has(column)).length;
      at += cell.colSpan;
      if (kept) cell.colSpan = kept;
      else cell.remove();
    }
  }
  return copy;
}

function mend() {
  for (const block of document.querySelectorAll("table.block")) block.remove();
  for (const table of document.querySelectorAll("table.split, table.wide")) table.classList.remove("split", "wide");
}

addEventListener("beforeprint", () => {
  mend();
  const tables = [...document.querySelectorAll(".scroll > table")];
  leastWidths(tables).forEach((widths, k) => {
    const found = blocks(tables[k], widths);
    tables[k].classList.toggle("wide", sum(widths) > FIGURE);
    if (found.length < 2) return;
    tables[k].after(...found.map((columns) => withColumns(tables[k], columns)));
    tables[k].classList.add("split");
  });
});
addEventListener("afterprint", mend);
