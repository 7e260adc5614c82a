// The comparison: the sorted table and the samples that turned, both as the address says.

const filters = document.getElementById("filters");
const cards = document.getElementById("cards");
const more = document.getElementById("more");
const PAGE = 20;
let shown = PAGE;

function matches(sample, wanted) {
  const texts = [sample.question, sample.id, ...sample.answers.map((answer) => answer.response || "")];
  return (!wanted.task || sample.task === wanted.task)
    && (!wanted.way || sample.way === wanted.way)
    && (!wanted.text || texts.some((text) => text.toLowerCase().includes(wanted.text.toLowerCase())));
}

// Both answers side by side, and which way the sample turned.
function flip(sample) {
  const node = card(sample, sample.answers);
  node.classList.add("flip");
  node.querySelector("header").append(el("span", { className: "turn " + sample.way, textContent: sample.turn }));
  return node;
}

function render() {
  const wanted = Object.fromEntries([...filters.elements].map((field) => [field.name, field.value]));
  const found = data.samples.filter((sample) => matches(sample, wanted));
  cards.replaceChildren(...found.slice(0, shown).map(flip));
  more.hidden = found.length <= shown;
  const cut = data.stripsLeftOut ? `; ${data.stripsLeftOut} filmstrips left out to bound the size of the page` : "";
  document.getElementById("count").textContent = !data.total ? "No sample turned." :
    `${found.length} of the ${data.samples.length} kept in this page, the largest changes, out of ${data.total} samples that turned${cut}.`;
}

filters.elements.task.append(...data.tasks.map((name) => el("option", { value: name, textContent: name })));
filters.hidden = false;
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", (event) => {
  change(event.target.name, event.target.value);
  shown = PAGE;
  render();
});
more.addEventListener("click", () => { shown += PAGE; render(); });
for (const table of document.querySelectorAll(".sortable")) makeSortable(table);
follow((linked) => {
  const [column, direction] = (view.get("sort") || "").split(".");
  const header = document.querySelectorAll(".sortable thead th")[column];
  if (column && header) sort(header, direction === "asc");
  for (const field of filters.elements) field.value = view.get(field.name) || "";
  shown = PAGE;
  render();
  if (linked && (view.has("task") || view.has("way"))) document.getElementById("flips").scrollIntoView();
});
