// The samples of a page as cards: those that the form above them asks for, some at a time, and a line that counts them.

const filters = document.getElementById("filters");
const PAGE = 20;

function fill(select, names) {
  select.append(...names.map((name) => el("option", { value: name, textContent: name })));
}

// `find(wanted)` gives the hits of what the form says, `draw(hit)` the card of one, `say(count)` the line about all.
// Returns what shows the hits of the view.
function makeBrowser(find, draw, say) {
  const cards = document.getElementById("cards");
  const more = document.getElementById("more");
  const count = document.getElementById("count");
  const cut = data.stripsLeftOut ? `; ${data.stripsLeftOut} filmstrips left out to bound the size of the page` : "";
  let shown = PAGE;

  function render() {
    const wanted = Object.fromEntries([...filters.elements].map((field) => [field.name, field.value]));
    const found = find(wanted);
    cards.replaceChildren(...found.slice(0, shown).map(draw));
    more.hidden = found.length <= shown;
    count.textContent = `${say(found.length)}${cut}.`;
  }

  function restart() {
    shown = PAGE;
    render();
  }

  fill(filters.elements.task, data.tasks);
  filters.hidden = false;
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("input", (event) => {
    change(event.target.name, event.target.value);
    restart();
  });
  more.addEventListener("click", () => { shown += PAGE; render(); });
  return () => {
    for (const field of filters.elements) field.value = view.get(field.name) || "";
    restart();
  };
}
