// The comparison: the sorted table and the samples that turned, both as the address says.

function matches(sample, wanted) {
  const texts = [sample.question, sample.id, sample.video, ...sample.answers.map((answer) => answer.response || "")];
  return (!wanted.task || sample.task === wanted.task)
    && (!wanted.way || sample.way === wanted.way)
    && (!wanted.text || texts.some((text) => text.toLowerCase().includes(wanted.text.toLowerCase())));
}

const board = document.querySelector(".board");
const showSamples = makeBrowser(
  (wanted) => data.samples.filter((sample) => matches(sample, wanted)).map((sample) => ({ sample, answers: sample.answers, others: [] })),
  (count) => !data.total ? "No sample turned" :
    `${count} of the ${data.samples.length} kept in this page, the largest changes, out of ${data.total} samples that turned`,
  (sample) => sample.turn);
makeSortable(board);
follow((linked) => {
  sortAsLinked(board);
  showSamples();
  if (linked && (view.has("task") || view.has("way"))) document.getElementById("flips").scrollIntoView();
});
