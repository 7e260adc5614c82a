// What was asked and what each run answered. `data.models` are the runs' names, `data.rules` the rules in words.

const MOST_ANSWERS = 12; // of one sample that are listed at once; the others are folded
const opened = new Set(); // the runs whose responses the reader opened: they stay open from sample to sample
const GRADES = { right: "✓", partly: "◐", wrong: "✗" };

function mark(answer) {
  const failed = answer.status !== "ok";
  const node = el("i", { className: "mark " + (failed ? "failed" : answer.grade), textContent: failed ? "–" : GRADES[answer.grade] });
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", failed ? answer.status.replace("_", " ") : answer.grade + (answer.grade === "partly" ? " right" : ""));
  return node;
}

// The models' answers, those that were asked for first; baselines, and more than `MOST_ANSWERS`, are folded.
function answerList(sample, answers, others) {
  const all = [...answers, ...others];
  const chosen = (answer) => isModel(answer) || (others.length > 0 && answers.includes(answer));
  const main = all.filter(chosen).slice(0, MOST_ANSWERS);
  const rest = all.filter((answer) => !main.includes(answer));
  const open = (answer) => main.length <= 2 || (answers.length === 1 && answer === answers[0]);
  return el("div", { className: "answers" },
    ...main.map((answer) => answerBlock(sample, answer, open(answer))),
    rest.length > 0 && el("details", { className: "others" },
      el("summary", { textContent: rest.some(isModel) ? `${rest.length} more answers` : "Baselines" }),
      ...rest.map((answer) => answerBlock(sample, answer, false))));
}

function isModel(answer) {
  return !data.best.length || data.best.includes(answer.model);
}

function answerBlock(sample, answer, open) {
  const scores = Object.entries(answer.scores).map(([name, score]) => `${name} ${score}`).join(" · ");
  const rule = answer.rule && (data.rules[answer.rule] || answer.rule);
  let isOpen = open || opened.has(answer.model);
  const node = el("details", { className: "answer", open: isOpen },
    el("summary", {}, mark(answer), el("b", { textContent: who(answer), title: who(answer) }),
      answer.status !== "ok" && el("span", { className: "status bad", textContent: answer.status.replace("_", " ") }),
      answer.answer && value(answer.answer, sample, sample.target),
      scores && el("span", { className: "soft", textContent: scores }),
      answer.otherFrames && el("span", { className: "badge", textContent: "saw other frames" })),
    rule && el("p", { className: "soft" }, "Read by: ", el("span", { textContent: rule, title: answer.rule }), "."),
    answer.finish && answer.finish !== "stop" && el("p", { className: "soft", textContent: "Stopped by " + answer.finish + "." }),
    answer.error && el("p", { className: "soft", textContent: answer.error }),
    answer.reasoning && el("details", { className: "reasoning" },
      el("summary", { textContent: "Reasoning" }), el("pre", { textContent: answer.reasoning, tabIndex: 0 })),
    answer.response !== null && response(answer.response, answer.read));
  node.addEventListener("toggle", () => { // also told of what was made open
    if (node.open === isOpen) return;
    isOpen = node.open;
    if (isOpen) opened.add(answer.model);
    else opened.delete(answer.model);
  });
  return node;
}

// Whose answer it is, and which of several to the question.
function who(answer) {
  return apart(data.models[answer.model]) + (answer.number ? `, answer ${answer.number}` : "");
}

// A response, with the words marked that the answer was read from.
function response(text, read) {
  if (!text.trim()) return el("p", { className: "soft", textContent: text ? "Only white space." : "An empty response." });
  if (!read) return el("pre", { textContent: text, tabIndex: 0 });
  const words = el("mark", { textContent: text.slice(...read), title: "the answer was read here" });
  return el("pre", { tabIndex: 0 }, text.slice(0, read[0]), words, text.slice(read[1]));
}

// An answer as chips: an order place by place, the true one with its clips, counts shape by shape with the error;
// anything else as text.
function value(answer, sample, target) {
  if (!answer.parts.length) return el("code", { textContent: answer.text });
  return el("span", { className: "chips" }, ...answer.parts.map(([name, number], k) => {
    const truth = target.parts[k] ? target.parts[k][1] : null;
    const error = number - truth;
    const label = name ? `${name} ${number}` : String(number);
    const note = answer !== target && sample.drawing === "counts" && error ? ` (${error > 0 ? "+" : "−"}${Math.abs(error)})` : "";
    const grade = answer === target ? "" : error === 0 ? " right" : " wrong";
    return el("span", { className: "chip" + grade }, answer === target && thumbnail(sample, number), label + note);
  }));
}

function thumbnail(sample, clip) {
  const frame = sample.drawing === "order" && sample.strip !== null ? sample.clips[clip - 1] : undefined;
  if (frame === undefined) return null;
  const canvas = el("canvas", { width: 1, height: 1 });
  canvas.dataset.frame = frame;
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}
