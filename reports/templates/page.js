// The leaderboard: the sorted table and the sample browser, both as the address says.

const filters = document.getElementById("filters");
const cards = document.getElementById("cards");
const more = document.getElementById("more");
const PAGE = 20;
let shown = PAGE;

function matches(sample, wanted) {
  if (wanted.task && sample.task !== wanted.task) return [];
  const needle = wanted.text.toLowerCase();
  const inQuestion = (sample.question + " " + sample.id).toLowerCase().includes(needle);
  return sample.answers.filter((answer) =>
    (!wanted.model || data.models[answer.model] === wanted.model)
    && (!wanted.status || answer.status === wanted.status || (wanted.status === "failed" && answer.status !== "ok"))
    && (!wanted.grade || answer.grade === wanted.grade)
    && (!needle || inQuestion || (answer.response || "").toLowerCase().includes(needle)));
}

function render() {
  const wanted = Object.fromEntries([...filters.elements].map((field) => [field.name, field.value]));
  const found = data.samples
    .map((sample) => ({ sample, answers: matches(sample, wanted) }))
    .filter((hit) => hit.answers.length > 0);
  cards.replaceChildren(...found.slice(0, shown).map((hit) => card(hit.sample, hit.answers)));
  more.hidden = found.length <= shown;
  const cut = data.stripsLeftOut ? `; ${data.stripsLeftOut} filmstrips left out to bound the size of the page` : "";
  document.getElementById("count").textContent =
    `${found.length} of the ${data.samples.length} samples kept in this page, out of ${data.total}${cut}.`;
}

function fill(select, names) {
  select.append(...names.map((name) => el("option", { value: name, textContent: name })));
}

fill(filters.elements.task, data.tasks);
fill(filters.elements.model, data.models);
filters.hidden = false;
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", (event) => {
  change(event.target.name, event.target.value);
  shown = PAGE;
  render();
});
more.addEventListener("click", () => { shown += PAGE; render(); });

const board = document.querySelector(".board");
const tools = document.getElementById("tools");
const showColumns = makeChooser(board, tools.querySelector("fieldset"));
makeSortable(board);
tools.hidden = false;
tools.addEventListener("submit", (event) => event.preventDefault());
tools.elements.rows.addEventListener("input", (event) => {
  change("rows", event.target.value);
  filterRows(board, event.target.value);
});
addEventListener("click", (event) => {
  const chooser = tools.querySelector("details");
  if (!chooser.contains(event.target)) chooser.open = false;
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") tools.querySelector("details").open = false;
});
follow((linked) => {
  const [column, direction] = (view.get("sort") || "").split(".");
  const header = column ? board.tHead.rows[0].cells[column] : null;
  if (header) sort(header, direction === "asc");
  tools.elements.rows.value = view.get("rows") || "";
  filterRows(board, tools.elements.rows.value);
  showColumns();
  for (const field of filters.elements) field.value = view.get(field.name) || "";
  shown = PAGE;
  render();
  if (linked && view.has("status")) document.getElementById("samples").scrollIntoView();
});
