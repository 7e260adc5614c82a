// The leaderboard: the sorted table and the sample browser, both as the address says.

const DISAGREE = 0.5; // scores that differ by this much or more do not agree, as in a comparison

function matches(sample, wanted) {
  if (wanted.task && sample.task !== wanted.task) return [];
  if (wanted.differ && !differs(sample, wanted.differ)) return [];
  if (wanted.against) {
    const other = data.models.indexOf(wanted.against);
    const model = wanted.model ? data.models.indexOf(wanted.model) : data.best.find((place) => place !== other);
    if (!(Math.abs(scoreOf(sample, model) - scoreOf(sample, other)) >= DISAGREE)) return [];
    const flipped = matches(sample, { ...wanted, against: "", model: data.models[model] });
    return flipped.length ? [...flipped, ...sample.answers.filter((answer) => answer.model === other)] : [];
  }
  const needle = wanted.text.toLowerCase();
  const inQuestion = `${sample.question} ${sample.id} ${sample.video}`.toLowerCase().includes(needle);
  return sample.answers.filter((answer) =>
    (!wanted.model || data.models[answer.model] === wanted.model)
    && (!wanted.status || answer.status === wanted.status || (wanted.status === "failed" && answer.status !== "ok"))
    && (!wanted.grade || answer.grade === wanted.grade)
    && (!wanted.rule || answer.rule === wanted.rule)
    && (!needle || inQuestion || `${answer.response || ""} ${answer.reasoning || ""}`.toLowerCase().includes(needle)));
}

// Of a model's first answer.
function scoreOf(sample, model) {
  return sample.answers.find((answer) => answer.model === model)?.score;
}

// Whether the models' first answers score differently: any two, or the two best in either or one direction.
function differs(sample, how) {
  const scores = data.best.map((model) => scoreOf(sample, model));
  if (how === "models") {
    const known = scores.filter((score) => score !== undefined);
    return Math.max(...known) - Math.min(...known) >= DISAGREE;
  }
  const gap = scores[0] - scores[1];
  return how === "best" ? Math.abs(gap) >= DISAGREE : how === "first" ? gap >= DISAGREE : -gap >= DISAGREE;
}

const showSamples = makeBrowser(
  (wanted) => data.samples
    .map((sample) => ({ sample, answers: matches(sample, wanted) }))
    .filter((hit) => hit.answers.length > 0)
    .map((hit) => ({ ...hit, others: hit.sample.answers.filter((answer) => !hit.answers.includes(answer)) })),
  (count) => `${count} of the ${data.samples.length} samples kept in this page, out of ${data.total}`);
fill(filters.elements.model, data.models);
fill(filters.elements.against, data.models);
filters.elements.rule.append(...Object.entries(data.rules).map(([rule, words]) => el("option", { value: rule, textContent: words })));
const [first, second] = data.best.map((model) => data.models[model]);
if (second === undefined) for (const name of ["differ", "against"]) filters.elements[name].parentNode.remove();
else {
  const [a, b] = [first, second].map(apart);
  const ways = { models: "any two models", best: `${a} and ${b}`, first: `${a} is right, ${b} not`, second: `${b} is right, ${a} not` };
  filters.elements.differ.append(...Object.entries(ways).map(([value, textContent]) => el("option", { value, textContent })));
}

// The middle frame of the first sample that the two best models disagree on, beside the link that leads there.
function drawPeek(canvas) {
  const sample = data.samples.find((one) => data.strips[one.strip] && differs(one, "best"));
  if (!sample) return;
  const image = new Image();
  image.addEventListener("load", () => {
    canvas.width = Math.round(image.naturalWidth / sample.captions.length);
    canvas.height = image.naturalHeight;
    const left = Math.floor(sample.captions.length / 2) * (image.naturalWidth / sample.captions.length);
    canvas.getContext("2d").drawImage(image, left, 0, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
    canvas.hidden = false;
  });
  image.src = data.strips[sample.strip];
}

const peek = document.getElementById("peek");
if (peek) drawPeek(peek);

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
  if (linked && ["status", "differ", "sample"].some((name) => view.has(name))) document.getElementById("samples").scrollIntoView();
});
