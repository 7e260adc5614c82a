// One sample as a card: its frames, question and true answer, and the answers to it.
// `data.models` are the runs' names, `data.strips` the filmstrips.

function card(sample, answers) {
  const about = [sample.frames, ...sample.groups, "video " + sample.cluster].filter(Boolean).join(" · ");
  const node = el("article", { className: "card" },
    el("header", {}, el("h3", { textContent: sample.task }), el("small", { textContent: sample.id })),
    el("div", { className: "soft", textContent: about }),
    strip(sample, answers),
    el("p", { className: "question", textContent: sample.question }),
    el("p", {}, "Target: ", value(sample.target, sample, sample.target)),
    ...answers.map((answer) => answerBlock(sample, answer)));
  const frames = node.querySelector(".strip img");
  frames?.addEventListener("load", () => node.querySelectorAll("canvas").forEach((canvas) => cut(frames, canvas)));
  return node;
}

// One frame out of the strip, whose frames are equally wide.
function cut(frames, canvas) {
  const width = frames.naturalWidth / canvas.dataset.of;
  canvas.width = width;
  canvas.height = frames.naturalHeight;
  canvas.getContext("2d").drawImage(frames, width * canvas.dataset.frame, 0, width, canvas.height, 0, 0, width, canvas.height);
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
      if (answer.bars.length) inner.append(lane(who(answer), answer.bars, "", answer.scores.iou));
    }
  }
  const box = el("div", { className: "scroll", tabIndex: 0 }, inner);
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Frames");
  return box;
}

function lane(name, bars, kind, iou) {
  const line = el("div", { className: "lane " + kind });
  for (const bar of bars) {
    const mark = el("i", { title: bar.text });
    mark.style.left = bar.left + "%";
    mark.style.width = bar.width + "%";
    line.append(mark);
  }
  const overlap = iou === undefined ? "" : `, IoU ${iou.toFixed(2)}`;
  line.append(el("span", { textContent: `${name} ${bars.map((bar) => bar.text).join(", ")}${overlap}` }));
  return line;
}

function answerBlock(sample, answer) {
  const scores = Object.entries(answer.scores).map(([name, score]) => `${name} ${score}`).join(" · ");
  const head = el("p", {},
    el("b", { textContent: who(answer) }),
    el("span", { className: "status" + (answer.status === "ok" ? "" : " bad"), textContent: answer.status.replace("_", " ") }),
    answer.answer && value(answer.answer, sample, sample.target),
    answer.rule && el("span", { className: "soft", textContent: "read by rule " + answer.rule }),
    scores && el("span", { className: "soft", textContent: scores }),
    answer.finish && answer.finish !== "stop" && el("span", { className: "soft", textContent: "stopped by " + answer.finish }),
    answer.otherFrames && el("span", { className: "badge", textContent: "saw other frames" }));
  return el("div", { className: "answer" }, ...[head,
    answer.error && el("p", { className: "soft", textContent: answer.error }),
    answer.reasoning && el("details", { className: "reasoning" },
      el("summary", { textContent: "Reasoning" }), el("pre", { textContent: answer.reasoning, tabIndex: 0 })),
    answer.response !== null && response(answer.response, answer.read)].filter(Boolean));
}

// Whose answer it is, and which of several to the question.
function who(answer) {
  return data.models[answer.model] + (answer.number ? `, answer ${answer.number}` : "");
}

// A response, with the words marked that the answer was read from.
function response(text, read) {
  if (!text.trim()) return el("p", { className: "soft", textContent: text ? "Only white space." : "An empty response." });
  if (!read) return el("pre", { textContent: text, tabIndex: 0 });
  const mark = el("mark", { textContent: text.slice(...read), title: "the answer was read here" });
  return el("pre", { tabIndex: 0 }, text.slice(0, read[0]), mark, text.slice(read[1]));
}

// An answer as chips: an order place by place, each with the clip it puts there, counts shape by shape with the error;
// anything else as text.
function value(answer, sample, target) {
  if (!answer.parts.length) return el("code", { textContent: answer.text });
  return el("span", { className: "chips" }, ...answer.parts.map(([name, number], k) => {
    const truth = target.parts[k] ? target.parts[k][1] : null;
    const error = number - truth;
    const label = name ? `${name} ${number}` : String(number);
    const note = answer !== target && sample.drawing === "counts" && error ? ` (${error > 0 ? "+" : "−"}${Math.abs(error)})` : "";
    const grade = answer === target ? "" : error === 0 ? " right" : " wrong";
    return el("span", { className: "chip" + grade }, thumbnail(sample, number), label + note);
  }));
}

function thumbnail(sample, clip) {
  const frame = sample.drawing === "order" && sample.strip !== null ? sample.clips[clip - 1] : undefined;
  if (frame === undefined) return null;
  const canvas = el("canvas", { width: 1, height: 1 });
  Object.assign(canvas.dataset, { frame, of: sample.captions.length });
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}
