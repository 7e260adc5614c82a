// The comparison: the sorted table and the samples that turned, both as the address says.

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

const board = document.querySelector(".board");
const showSamples = makeBrowser(
  (wanted) => data.samples.filter((sample) => matches(sample, wanted)),
  flip,
  (count) => !data.total ? "No sample turned" :
    `${count} of the ${data.samples.length} kept in this page, the largest changes, out of ${data.total} samples that turned`);
makeSortable(board);
follow((linked) => {
  sortAsLinked(board);
  showSamples();
  if (linked && (view.has("task") || view.has("way"))) document.getElementById("flips").scrollIntoView();
});
