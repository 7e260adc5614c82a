// The frames of a sample: one large, all of them small under it, played at their true times, enlarged on a click; under
// them the true segment and those of the answers. `data.strips` are the filmstrips.

const SPEEDS = [1, 2, 4, 8, 16, 32, 64];
const MOST_LANES = 8;
const LONGEST = 30; // seconds that a video is played in at most, unless the reader asks for less speed

const zoom = document.getElementById("zoom");

// What shows the frames of `sample`: its `node`, and what the keys do. `answers` are those whose segments are drawn.
function makePlayer(sample, answers) {
  const count = sample.captions.length;
  const stage = el("canvas", { width: 16, height: 9 });
  const large = el("button", { type: "button", className: "stage", title: "Enlarge (z)" }, stage);
  large.setAttribute("aria-label", "Enlarge the frame");
  const said = el("output", { className: "at" });
  const thumbs = sample.captions.map((caption, k) => thumb(sample, caption, k));
  const image = new Image();
  let at = 0;
  let timer = null;

  function show(k) {
    at = Math.min(Math.max(k, 0), count - 1);
    said.textContent = `${place(sample, at)} · frame ${at + 1} of ${count} shown here`;
    thumbs.forEach((button, n) => { if (n === at) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current"); });
    if (image.naturalWidth) draw(stage, at);
    if (zoom.open) enlarge();
  }

  function draw(canvas, k) {
    const width = image.naturalWidth / count;
    if (canvas.width !== Math.round(width) || canvas.height !== image.naturalHeight) {
      canvas.width = Math.round(width);
      canvas.height = image.naturalHeight;
    }
    canvas.getContext("2d").drawImage(image, k * width, 0, width, image.naturalHeight, 0, 0, canvas.width, canvas.height);
  }

  function enlarge() {
    draw(zoom.querySelector("canvas"), at);
    zoom.querySelector("p").textContent = said.textContent;
    if (!zoom.open) zoom.showModal();
  }

  // --- playing: each frame stands until the next one's time, at the speed that is set ---
  const speed = el("select", { title: "Speed" }, ...SPEEDS.map((times) => el("option", { value: times, textContent: `${times} ×` })));
  speed.setAttribute("aria-label", "Speed");
  const whole = gaps(sample).reduce((sum, gap) => sum + gap, 0);
  speed.value = SPEEDS.find((times) => whole / times <= LONGEST) || SPEEDS.at(-1);
  const play = el("button", { type: "button", className: "play", title: "Play at the true pace (p)" });

  function playing(on) {
    clearTimeout(timer);
    timer = null;
    play.textContent = on ? "Pause" : "Play";
    if (!on) return;
    if (at === count - 1) show(0);
    const wait = gaps(sample);
    const next = () => {
      if (!large.isConnected || at === count - 1) return playing(false);
      show(at + 1);
      timer = setTimeout(next, 1000 * wait[at] / speed.value);
    };
    timer = setTimeout(next, 1000 * wait[at] / speed.value);
  }

  const step = (by) => { playing(false); show(at + by); };
  const control = (name, title, act) => {
    const button = el("button", { type: "button", textContent: name, title });
    button.setAttribute("aria-label", title);
    button.addEventListener("click", act);
    return button;
  };
  play.addEventListener("click", () => playing(!timer));
  playing(false);
  large.addEventListener("click", enlarge);
  thumbs.forEach((button, k) => button.addEventListener("click", () => { playing(false); show(k); }));

  const node = el("div", { className: "player" });
  if (sample.strip !== null && data.strips[sample.strip]) {
    image.addEventListener("load", () => {
      thumbs.forEach((button, k) => draw(button.querySelector("canvas"), k));
      for (const canvas of document.querySelectorAll(".sample canvas[data-frame]")) draw(canvas, canvas.dataset.frame);
      large.style.aspectRatio = `${image.naturalWidth / count} / ${image.naturalHeight}`;
      show(at);
      node.classList.add("drawn");
    });
    image.addEventListener("error", async () => { // of the viewer, which says why
      const why = await fetch(image.src).then((reply) => reply.text(), () => "The frames cannot be shown.");
      node.replaceChildren(el("p", { className: "soft none", textContent: why }), ...(sample.bars.length ? [reel(sample, [], answers)] : []));
    });
    image.src = data.strips[sample.strip];
    node.append(large, el("div", { className: "controls" },
      control("‹", "Previous frame (←)", () => step(-1)), play, control("›", "Next frame (→)", () => step(1)), speed, said));
    node.append(reel(sample, thumbs, answers));
  } else {
    if (sample.frames) node.append(el("p", { className: "soft none", textContent: "No frames of this sample are kept: a run keeps those of the first of each task (--filmstrips)." }));
    if (sample.bars.length) node.append(reel(sample, [], answers));
  }
  if (count) show(0);
  const toggle = () => (zoom.open ? zoom.close() : image.naturalWidth && enlarge());
  return { node, step, play: () => playing(!timer), zoom: toggle, stop: () => playing(false) };
}

// Seconds until the next frame; between two videos, and where the times do not rise, as long as usual.
function gaps(sample) {
  const wait = sample.seconds.slice(1).map((time, k) => time - sample.seconds[k]);
  const rising = wait.filter((gap) => gap > 0).sort((a, b) => a - b);
  const usual = rising.length ? rising[Math.floor(rising.length / 2)] : 1;
  return wait.map((gap) => (gap > 0 ? gap : usual));
}

function place(sample, k) {
  const time = `${sample.seconds[k].toFixed(1)} s`;
  return sample.clipOf.length ? `video ${sample.clipOf[k]}, ${time}` : time;
}

function thumb(sample, caption, k) {
  const altered = sample.drawing === "interval" && sample.bars.some((bar) => bar.start <= sample.seconds[k] && sample.seconds[k] <= bar.end);
  const first = sample.clipOf.length && sample.clipOf[k] !== sample.clipOf[k - 1];
  const button = el("button", { type: "button", className: "thumb" + (altered ? " altered" : "") + (first ? " first" : "") },
    el("canvas", { width: 16, height: 9 }), el("span", { textContent: caption }));
  button.setAttribute("aria-label", `Frame at ${place(sample, k)}`);
  return button;
}

// The small frames, and on the same axis the segments.
function reel(sample, thumbs, answers) {
  const inner = el("div", { className: "reel" });
  if (thumbs.length) inner.append(el("div", { className: "thumbs" }, ...thumbs));
  if (sample.bars.length) {
    inner.append(lane("truth", sample.bars, "target"));
    for (const answer of answers.filter(isModel).slice(0, MOST_LANES)) {
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
  const left = bars.some((bar) => bar.left + bar.width > 60) && bars.every((bar) => bar.left > 30);
  line.append(el("span", { className: left ? "left" : "", textContent: `${name} ${bars.map((bar) => bar.text).join(", ")}${overlap}` }));
  return line;
}

zoom.querySelector(".close").addEventListener("click", () => zoom.close());
zoom.addEventListener("click", (event) => { if (event.target !== zoom.querySelector(".close")) zoom.close(); });
