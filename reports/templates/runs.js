// The rows of runs: ticked, found by name, and up to date.

const SPACE = "http://www.w3.org/2000/svg";
const rows = new Map([...document.querySelectorAll("tr[data-run]")].map((row) => [row.dataset.run, row]));
const chosen = document.getElementById("chosen");

function write(row, name, text) {
  const cell = row.querySelector(`[data-field="${name}"]`);
  if (cell && cell.textContent !== text) cell.textContent = text;
}

function stack(statuses) {
  const total = Object.values(statuses).reduce((sum, count) => sum + count, 0) || 1;
  const drawing = document.createElementNS(SPACE, "svg");
  for (const [name, value] of Object.entries({ class: "stack", viewBox: "0 0 96 10", width: 96, height: 10, "aria-hidden": true })) drawing.setAttribute(name, value);
  let start = 0;
  for (const [status, count] of Object.entries(statuses)) {
    const part = document.createElementNS(SPACE, "rect");
    const width = 96 * count / total;
    for (const [name, value] of Object.entries({ class: "s-" + status, x: start, width, height: 10 })) part.setAttribute(name, value);
    drawing.append(part);
    start += width;
  }
  return drawing;
}

function update(row, now) {
  const state = row.querySelector('[data-field="state"] .state');
  state.textContent = now.state === "not finished" && now.quiet ? `${now.state}, quiet for ${now.quiet}` : now.state;
  state.className = "state " + now.state.split(" ")[0];
  for (const name of ["failed", "score", "rate", "left"]) write(row, name, now[name]);
  for (const name of ["done", "total"]) write(row, name, now[name].toLocaleString("en"));
  const others = Object.entries(now.statuses).filter(([status]) => status !== "ok");
  write(row, "statuses", others.map(([status, count]) => `${status.replace("_", " ")} ${count.toLocaleString("en")}`).join(", "));
  row.querySelector('[data-field="stack"]').replaceChildren(stack(now.statuses));
  const faults = document.getElementById("faults");
  if (faults) {
    faults.hidden = !now.faults.length;
    faults.querySelector("span").textContent = now.faults.map(([fault, count]) => `${fault} ${count}`).join(", ");
  }
}

const going = () => new URLSearchParams([...rows].filter(([, row]) => !row.querySelector(".state.finished")).map(([key]) => ["run", key]));
if (data.known !== null || going().size) {
  poll(() => "/status.json?" + (going().size ? going() : "run=none"), (now) => {
    for (const run of now.runs) if (rows.has(run.key)) update(rows.get(run.key), run);
    const words = document.getElementById("chosen-words");
    if (data.known !== null && now.known !== data.known) location.reload();
    else if (words) tell();
  });
}

function tell() {
  const ticked = [...chosen.querySelectorAll("input[name=run]:checked")];
  document.getElementById("compare").disabled = ticked.length !== 2;
  document.getElementById("chosen-words").textContent = ticked.length ? `${ticked.length} ticked` : "";
}

if (chosen) {
  const find = document.getElementById("find");
  find.parentNode.hidden = rows.size < 10;
  find.addEventListener("input", () => {
    for (const row of rows.values()) row.hidden = !row.cells[0].textContent.toLowerCase().includes(find.value.toLowerCase());
  });
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  chosen.addEventListener("change", tell);
  document.getElementById("compare").addEventListener("click", () => {
    const [a, b] = [...chosen.querySelectorAll("input[name=run]:checked")].map((box) => box.value);
    location.assign(`/compare?a=${a}&b=${b}`);
  });
  tell();
}
