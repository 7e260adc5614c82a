// The page of a watch: the answers of its checkpoints to the same samples, as the address says.

function matches(sample, wanted) {
  const needle = wanted.text.toLowerCase();
  const said = (answer) => [sample.question, sample.id, sample.video, answer.response || "", answer.reasoning || ""];
  if (wanted.task && sample.task !== wanted.task) return [];
  return sample.answers.filter((answer) =>
    (!wanted.model || data.models[answer.model] === wanted.model)
    && (!wanted.grade || answer.grade === wanted.grade)
    && said(answer).some((text) => text.toLowerCase().includes(needle)));
}

const showSamples = makeBrowser(
  (wanted) => data.samples
    .map((sample) => ({ sample, answers: matches(sample, wanted), all: sample.answers }))
    .filter((hit) => hit.answers.length > 0)
    .map((hit) => ({ ...hit, others: hit.all.filter((answer) => !hit.answers.includes(answer)) })),
  (found) => `${found} of the ${data.samples.length} samples kept in this page, out of ${data.total}`);
fill(filters.elements.model, data.models);
follow((linked) => {
  showSamples();
  if (linked && (view.has("model") || view.has("sample"))) document.getElementById("samples").scrollIntoView();
});

// A link to the answers of a step opens them.
addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
});
