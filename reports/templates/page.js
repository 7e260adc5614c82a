// The leaderboard: the sorted table and the sample browser, both as the address says.

function matches(sample, wanted) {
  if (wanted.task && sample.task !== wanted.task) return [];
  const needle = wanted.text.toLowerCase();
  const inQuestion = (sample.question + " " + sample.id).toLowerCase().includes(needle);
  return sample.answers.filter((answer) =>
    (!wanted.model || data.models[answer.model] === wanted.model)
    && (!wanted.status || answer.status === wanted.status || (wanted.status === "failed" && answer.status !== "ok"))
    && (!wanted.grade || answer.grade === wanted.grade)
    && (!needle || inQuestion || `${answer.response || ""} ${answer.reasoning || ""}`.toLowerCase().includes(needle)));
}

const showSamples = makeBrowser(
  (wanted) => data.samples
    .map((sample) => ({ sample, answers: matches(sample, wanted) }))
    .filter((hit) => hit.answers.length > 0),
  (hit) => card(hit.sample, hit.answers),
  (count) => `${count} of the ${data.samples.length} samples kept in this page, out of ${data.total}`);
fill(filters.elements.model, data.models);

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
  sortAsLinked(board);
  tools.elements.rows.value = view.get("rows") || "";
  filterRows(board, tools.elements.rows.value);
  showColumns();
  showSamples();
  if (linked && view.has("status")) document.getElementById("samples").scrollIntoView();
});
