// The samples of a page: those that the form above asks for in a list, one of them beside it, all of it in the view.
// Keys: ↑ ↓ in the list, and wherever no field has them j k next and previous sample, ← → frame, p play, z enlarge, t truth, o open answers.

const filters = document.getElementById("filters");
const browser = document.getElementById("browser");
const list = browser.querySelector("ol");
const detail = browser.querySelector(".sample");
const count = document.getElementById("count");
const MARKS = 8; // more answers than this are counted in the list

function fill(select, names) {
  select.append(...names.map((name) => el("option", { value: name, textContent: name })));
}

// `find(wanted)` gives the hits of what the form says, each a sample with the `answers` asked for and the `others`;
// or a promise of them; `say(count)` the line about all; `turn(sample)` words for the list and the head, or nothing;
// `paging` what lies before and after the hits, where they are not all. Returns what shows the view.
const WHOLE = { place: (at, count) => `${at + 1} of ${count}`, can: () => false, go: () => false };

function makeBrowser(find, say, turn = () => null, paging = WHOLE) {
  const cut = data.stripsLeftOut ? `; ${data.stripsLeftOut} filmstrips left out to bound the size of the page` : "";
  let hits = [];
  let at = 0;
  let player = null;
  let asked = 0;

  async function render(last = false) {
    const own = ++asked;
    const wanted = Object.fromEntries([...filters.elements].map((field) => [field.name, field.value]));
    const found = await find(wanted);
    if (own !== asked) return; // something else was asked for meanwhile
    hits = found.sort((a, b) => bare(a) - bare(b)); // what can be seen first
    count.textContent = `${say(hits.length)}${cut}.`;
    list.replaceChildren(...hits.map((hit, k) => el("li", {}, entry(hit, k))));
    const named = hits.findIndex(({ sample }) => sample.id === view.get("sample") && (!view.get("of") || sample.task === view.get("of")));
    select(named >= 0 ? named : last ? hits.length - 1 : 0, false);
  }

  const bare = ({ sample }) => Number(sample.strip === null || !data.strips[sample.strip]);

  function entry({ sample }, k) {
    const all = sample.answers.filter(isModel);
    const right = all.filter((answer) => answer.grade === "right").length;
    const marks = all.length > MARKS
      ? el("span", { className: "marks", textContent: `${right} of ${all.length} right` })
      : el("span", { className: "marks" }, ...all.map(mark));
    const button = el("button", { type: "button" },
      el("span", { className: "what", textContent: sample.video }), marks,
      el("small", { textContent: turn(sample) ? `${apart(sample.task)} · ${turn(sample)}` : sample.task }));
    button.tabIndex = -1; // the list is one stop of the Tab key, the arrows lead through it
    button.addEventListener("click", () => select(k, true));
    return button;
  }

  function select(k, chosen) {
    player?.stop();
    if (hits.length && (k < 0 || k >= hits.length) && paging.go(k < 0 ? -1 : 1)) return;
    at = Math.min(Math.max(k, 0), hits.length - 1);
    for (const old of list.querySelectorAll("[aria-current]")) {
      old.removeAttribute("aria-current");
      old.tabIndex = -1;
    }
    if (!hits.length) {
      detail.replaceChildren(el("p", { className: "soft", textContent: "No sample is left: change the filters." }));
      return;
    }
    const button = list.children[at].firstChild;
    button.setAttribute("aria-current", "true");
    button.tabIndex = 0;
    if (chosen) {
      change("sample", hits[at].sample.id);
      change("of", hits[at].sample.task);
      const box = list.parentNode; // the list alone is scrolled, not the page
      box.scrollTop += button.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
    }
    draw(hits[at]);
  }

  function draw({ sample, answers, others }) {
    player = makePlayer(sample, [...answers, ...others]);
    const step = (name, title, by) => {
      const button = el("button", { type: "button", textContent: name, title, disabled: !hits[at + by] && !paging.can(by) });
      button.addEventListener("click", () => select(at + by, true));
      return button;
    };
    const truth = el("button", { type: "button", className: "truth", title: "Show or hide the truth (t)" });
    truth.addEventListener("click", toggleTruth);
    const about = [apart(sample.task), sample.frames, ...sample.groups.map(apart)].filter(Boolean).join(" · ");
    detail.replaceChildren(
      el("header", {},
        el("h3", { textContent: sample.video }),
        turn(sample) && el("span", { className: "turn " + sample.way, textContent: turn(sample) }),
        el("span", { className: "steps" }, step("Previous", "Previous sample (k)", -1),
          el("span", { className: "soft", textContent: paging.place(at, hits.length) }), step("Next", "Next sample (j)", 1)),
        el("div", { className: "soft" }, about, " · ", el("code", { textContent: sample.id }))),
      player.node,
      el("div", { className: "talk" },
        el("p", { className: "question", textContent: sample.question.replaceAll("<video>", "▶ video"), tabIndex: 0 }),
        el("p", { className: "target" }, truth, el("span", { className: "value" }, value(sample.target, sample, sample.target))),
        answerList(sample, answers, others)));
    showTruth();
  }

  function showTruth() {
    const shown = view.get("truth") === "1";
    detail.classList.toggle("told", shown);
    player?.redraw();
    const button = detail.querySelector(".truth");
    if (!button) return;
    button.textContent = shown ? "Truth" : "Show the truth";
    button.setAttribute("aria-pressed", String(shown));
  }

  function toggleTruth() {
    change("truth", view.get("truth") === "1" ? "" : "1");
    showTruth();
  }

  function openAll() {
    const answers = [...detail.querySelectorAll(".answer")];
    const open = !answers.every((answer) => answer.open);
    for (const answer of answers) answer.open = open;
  }

  const keys = {
    j: () => select(at + 1, true), k: () => select(at - 1, true), t: toggleTruth, o: openAll,
    p: () => player.play(), z: () => player.zoom(),
    ArrowLeft: () => player.step(-1), ArrowRight: () => player.step(1),
  };
  addEventListener("keydown", (event) => {
    const box = browser.getBoundingClientRect();
    const seen = box.top < innerHeight && box.bottom > 0;
    const typing = event.target.closest?.("input, select, textarea, pre");
    if (!keys[event.key] || !seen || typing || !hits.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    select(at + by, true);
    list.children[at].firstChild.focus({ preventScroll: true });
  });

  fill(filters.elements.task, data.tasks);
  filters.hidden = browser.hidden = false;
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("input", (event) => {
    change(event.target.name, event.target.value);
    change("sample", "");
    change("of", "");
    change("page", "");
    render();
  });
  return (last) => {
    for (const field of filters.elements) field.value = view.get(field.name) || "";
    return render(last);
  };
}
