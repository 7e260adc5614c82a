// What every page has: its data, elements made from text, the view in the URL hash, the theme, copying.
// Text from runs reaches a page through textContent only.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const themeButton = document.getElementById("theme");

function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}

// A name of others within a line of ours, which it does not reorder where it is written from right to left.
function apart(name) {
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(name) ? `\u2068${name}\u2069` : name;
}

// --- the view in the URL hash: #task=..&model=..&theme=dark, so that a link shows it again ----------------------

let view = new URLSearchParams();

function change(name, value) {
  if (value) view.set(name, value);
  else view.delete(name);
  history.replaceState(null, "", "#" + view);
}

// Calls `apply(linked)` now, and again whenever a link changes the view; a link to a section is no view.
function follow(apply) {
  const read = (linked) => {
    if (location.hash.includes("=")) {
      const kept = ["theme", "truth"].filter((name) => view.has(name)).map((name) => [name, view.get(name)]);
      view = new URLSearchParams(location.hash.slice(1));
      for (const [name, value] of kept) if (!view.has(name)) change(name, value); // a link is about what it names
    }
    setTheme(view.get("theme"));
    apply(linked);
  };
  addEventListener("hashchange", () => {
    if (location.hash.includes("=")) read(true);
  });
  read(false);
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

themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  const name = isDark() ? "light" : "dark";
  setTheme(name);
  change("theme", name);
});

// --- copying -------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
