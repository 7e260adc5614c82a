// The viewer: the theme stays from page to page, and what is going on is asked for now and then.

const EVERY = 2000; // milliseconds

const kept = sessionStorage.getItem("theme");
if (kept && !location.hash.includes("theme=")) {
  view = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  change("theme", kept);
}
themeButton.addEventListener("click", () => sessionStorage.setItem("theme", view.get("theme")));
follow(() => {});

// Calls `show` with what the viewer says at `address()` every few seconds, while the page is seen.
function poll(address, show) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const reply = await fetch(address());
      if (reply.ok) show(await reply.json());
    } catch {
      // It has ended, or is started again: the next time tells.
    }
  }, EVERY);
}
