// The samples of the viewer, a page of them at a time: the form and the address say which, the server finds them.

const turning = document.getElementById("turning");
const newer = document.getElementById("newer");
const WAIT = 500; // milliseconds between two looks while records are still being read

function question() {
  const query = new URLSearchParams();
  for (const key of data.runs) query.append("run", key);
  for (const field of filters.elements) if (field.value) query.set(field.name, field.value);
  for (const name of ["sample", "of", "page"]) if (view.get(name)) query.set(name, view.get(name));
  return query;
}

async function asked() {
  const reply = await fetch("/samples.json?" + question());
  if (!reply.ok) throw new Error(reply.statusText);
  return reply.json();
}

const names = (samples) => samples.map((sample) => sample.task + " " + sample.id).join("\n");

let questions = 0;

async function find() {
  const own = ++questions;
  const found = await asked().catch(() => ({ samples: [], lost: true }));
  if (own !== questions) return []; // answered after a later question; the list drops it too
  Object.assign(data, { lost: false }, found);
  for (const [rule, words] of Object.entries(data.rules)) {
    if (![...filters.elements.rule.options].some((option) => option.value === rule)) {
      filters.elements.rule.append(el("option", { value: rule, textContent: words }));
    }
  }
  filters.elements.rule.value = view.get("rule") || "";
  page();
  return data.samples.map((sample, k) => ({
    sample,
    answers: sample.answers.filter((_, n) => data.hits[k].includes(n)),
    others: sample.answers.filter((_, n) => !data.hits[k].includes(n)),
  }));
}

function say() {
  if (data.lost) return "The viewer does not answer: it has ended";
  const reading = data.looking ? `, ${Math.floor(100 * data.reading)} % of the records read` : "";
  return `${data.total.toLocaleString("en")} of ${data.of.toLocaleString("en")} samples${reading}`;
}

// --- pages -----------------------------------------------------------------------------------------------------

const paging = {
  place: (at) => `${(data.start + at + 1).toLocaleString("en")} of ${data.total.toLocaleString("en")}`,
  can: (by) => data.page + by >= 0 && data.page + by < data.pages,
  go: (by) => {
    if (!paging.can(by)) return false;
    change("sample", "");
    change("of", "");
    change("page", String(data.page + by));
    showSamples(by < 0);
    return true;
  },
};

function page() {
  turning.hidden = data.pages < 2 && newer.hidden;
  turning.querySelector("span").textContent = `page ${data.page + 1} of ${data.pages.toLocaleString("en")}`;
  document.getElementById("before").disabled = !paging.can(-1);
  document.getElementById("after").disabled = !paging.can(1);
}

document.getElementById("before").addEventListener("click", () => paging.go(-1));
document.getElementById("after").addEventListener("click", () => paging.go(1));

const showSamples = makeBrowser(find, say, () => null, paging);
fill(filters.elements.model, data.models);
follow(() => showSamples());

// --- what comes in ---------------------------------------------------------------------------------------------

newer.addEventListener("click", () => {
  newer.hidden = true;
  showSamples();
});

async function lookAgain() {
  const settled = !data.looking && !data.going;
  if (!settled && !document.hidden && data.pages !== undefined) {
    const own = questions;
    const now = await asked().catch(() => null); // it has ended: the next question tells
    if (now && own === questions) await take(now);
  }
  setTimeout(lookAgain, data.looking ? WAIT : EVERY);
}

// Counts change as they come; samples only when the reader asks for them.
async function take(now) {
  if (names(now.samples) === names(data.samples)) {
    for (const name of ["total", "of", "pages", "page", "start", "looking", "reading"]) data[name] = now[name];
    count.textContent = say() + ".";
    page();
  } else if (!data.samples.length) {
    await showSamples();
  } else {
    newer.textContent = "Show what was found since";
    newer.hidden = false;
    data.looking = now.looking;
    page();
  }
}

lookAgain();
