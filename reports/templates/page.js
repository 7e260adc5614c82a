// Sorting, theme, copying, and the sample browser. The view lives in the URL hash, so that a link shows it again.
// Text from runs reaches the page through textContent only.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const filters = document.getElementById("filters");
const cards = document.getElementById("cards");
const more = document.getElementById("more");
const themeButton = document.getElementById("theme");
const PAGE = 20;
let shown = PAGE;

function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}

// --- the view in the URL hash: #sort=0.desc&task=..&model=..&status=..&text=..&theme=dark -------------------

let view = new URLSearchParams();

function readView() {
  view = new URLSearchParams(location.hash.slice(1));
}

function change(name, value) {
  if (value) view.set(name, value);
  else view.delete(name);
  history.replaceState(null, "", "#" + view);
}

function apply() {
  setTheme(view.get("theme"));
  const [column, direction] = (view.get("sort") || "").split(".");
  const header = document.querySelectorAll(".sortable thead th")[column];
  if (column && header) sort(header, direction === "asc");
  for (const field of filters.elements) field.value = view.get(field.name) || "";
  shown = PAGE;
  render();
}

// --- theme ---------------------------------------------------------------------------------------------------

function setTheme(name) {
  const root = document.documentElement;
  if (name === "dark" || name === "light") root.dataset.theme = name;
  else delete root.dataset.theme;
  themeButton.textContent = isDark() ? "Light" : "Dark";
}

function isDark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// --- the main table ------------------------------------------------------------------------------------------

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
    body.append(...[...body.rows].slice(1).sort(order)); // the first row is the heading of the part
  }
}

// --- the sample browser --------------------------------------------------------------------------------------

function matches(sample, wanted) {
  if (wanted.task && sample.task !== wanted.task) return [];
  const needle = wanted.text.toLowerCase();
  const inQuestion = (sample.question + " " + sample.id).toLowerCase().includes(needle);
  return sample.answers.filter((answer) =>
    (!wanted.model || data.models[answer.model] === wanted.model)
    && (!wanted.status || answer.status === wanted.status)
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

function card(sample, answers) {
  const about = [sample.frames, ...sample.groups, "video " + sample.cluster].filter(Boolean).join(" · ");
  return el("article", { className: "card" },
    el("header", {}, el("h3", { textContent: sample.task }), el("small", { textContent: sample.id })),
    el("div", { className: "soft", textContent: about }),
    strip(sample, answers),
    el("p", { className: "question", textContent: sample.question }),
    el("p", {}, "Target: ", value(sample.target, sample, sample.target)),
    ...answers.map((answer) => answerBlock(sample, answer)));
}

function strip(sample, answers) {
  if (sample.strip === null && !sample.bars.length) return null;
  const inner = el("div", { className: "strip" });
  if (sample.strip !== null) {
    inner.append(el("img", { src: data.strips[sample.strip], loading: "lazy",
      alt: `${sample.captions.length} of the frames shown to the model` }));
  }
  if (sample.strip !== null || sample.drawing === "interval") {
    const unit = sample.captions.length ? " s" : "";
    inner.append(el("div", { className: "times" },
      ...sample.captions.map((time) => el("span", { textContent: time + unit }))));
  }
  if (sample.bars.length) {
    inner.append(lane("target", sample.bars, "target"));
    for (const answer of answers) {
      if (answer.bars.length) inner.append(lane(data.models[answer.model], answer.bars, ""));
    }
  }
  const box = el("div", { className: "scroll", tabIndex: 0 }, inner);
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Frames");
  return box;
}

function lane(name, bars, kind) {
  const line = el("div", { className: "lane " + kind });
  for (const bar of bars) {
    const mark = el("i", { title: bar.text });
    mark.style.left = bar.left + "%";
    mark.style.width = bar.width + "%";
    line.append(mark);
  }
  line.append(el("span", { textContent: `${name} ${bars.map((bar) => bar.text).join(", ")}` }));
  return line;
}

function answerBlock(sample, answer) {
  const scores = Object.entries(answer.scores).map(([name, score]) => `${name} ${score}`).join(" · ");
  const head = el("p", {},
    el("b", { textContent: data.models[answer.model] }),
    el("span", { className: "status" + (answer.status === "ok" ? "" : " bad"), textContent: answer.status.replace("_", " ") }),
    answer.answer && value(answer.answer, sample, sample.target),
    answer.rule && el("span", { className: "soft", textContent: "read by rule " + answer.rule }),
    scores && el("span", { className: "soft", textContent: scores }),
    answer.finish && answer.finish !== "stop" && el("span", { className: "soft", textContent: "stopped by " + answer.finish }),
    answer.otherFrames && el("span", { className: "badge", textContent: "saw other frames" }));
  return el("div", { className: "answer" }, ...[head,
    answer.error && el("p", { className: "soft", textContent: answer.error }),
    answer.response !== null && el("pre", { textContent: answer.response, tabIndex: 0 })].filter(Boolean));
}

// An answer as chips: an order place by place, counts shape by shape with the error; anything else as text.
function value(answer, sample, target) {
  if (!answer.parts.length) return el("code", { textContent: answer.text });
  return el("span", { className: "chips" }, ...answer.parts.map(([name, number], k) => {
    const truth = target.parts[k] ? target.parts[k][1] : null;
    const error = number - truth;
    const label = name ? `${name} ${number}` : String(number);
    const note = answer !== target && sample.drawing === "counts" && error ? ` (${error > 0 ? "+" : "−"}${Math.abs(error)})` : "";
    const grade = answer === target ? "" : error === 0 ? " right" : " wrong";
    return el("span", { className: "chip" + grade, textContent: label + note });
  }));
}

// --- start ---------------------------------------------------------------------------------------------------

function fill(select, names) {
  select.append(...names.map((name) => el("option", { value: name, textContent: name })));
}

fill(filters.elements.task, data.tasks);
fill(filters.elements.model, data.models);
filters.hidden = themeButton.hidden = false;
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", (event) => {
  change(event.target.name, event.target.value);
  shown = PAGE;
  render();
});
more.addEventListener("click", () => { shown += PAGE; render(); });
themeButton.addEventListener("click", () => {
  const name = isDark() ? "light" : "dark";
  setTheme(name);
  change("theme", name);
});
for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
for (const table of document.querySelectorAll(".sortable")) makeSortable(table);
addEventListener("hashchange", () => {
  if (!location.hash.includes("=")) return; // a link to a section
  readView();
  apply();
  if (view.has("status")) document.getElementById("samples").scrollIntoView();
});
if (location.hash.includes("=")) readView();
apply();
