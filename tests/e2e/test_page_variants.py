"""Every page at its worst in a real browser: axe finds nothing, a phone sees all of it, and names reorder nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_variants import VARIANTS

pytestmark = pytest.mark.browser

A4_ACROSS = 1046  # pixels, less the margins
MARGIN = 28  # points
LOOKS = [(1440, "light"), (390, "dark")]
IN_BOTH = ("ordinary", "watch", "comparison", "settings", "frontier", "probe-data")
"""Each page once; axe sees their variants in one look each, by turns."""

IN_ORDER = r"""() => {
  const right = /[\u0590-\u08ff]/;
  const wrong = [], met = [];
  for (const box of document.querySelectorAll("body *")) {
    if (box.closest("script, style, pre, .question, td.said, option") || !box.checkVisibility()) continue;
    if (["inline", "none"].includes(getComputedStyle(box).display)) continue;
    const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    const seen = [];
    for (let node; (node = walk.nextNode());) {
      let own = node.parentElement;
      while (own !== box && getComputedStyle(own).display === "inline") own = own.parentElement;
      if (own !== box) continue; // a box in it
      for (const found of node.data.matchAll(/[\w.%]*[\u0590-\u08ff][\w\u0590-\u08ff]*|[\w.%+≈–−-]+/gu)) {
        const range = document.createRange();
        range.setStart(node, found.index);
        range.setEnd(node, found.index + found[0].length);
        const place = range.getClientRects();
        if (place.length === 1) seen.push([found[0], place[0]]);
      }
    }
    seen.forEach(([word, place], k) => {
      const [next, after] = seen[k + 1] || [];
      if (!next || !(right.test(word) || right.test(next)) || Math.abs(after.top - place.top) > 4) return;
      met.push(word);
      if (after.left < place.right - 2) wrong.push(`${word} ${next}`);
    });
  }
  return [met.length, wrong];
}"""
"""How many words stand beside one from right to left, and those of them that are drawn before what they follow."""


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a variant's page, written when it is first asked for."""
    known: dict[str, str] = {}

    def address(name: str) -> str:
        if name not in known:
            folder: Path = tmp_path_factory.mktemp("variant")
            known[name] = VARIANTS[name](folder).as_uri()
        return known[name]

    return address


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    made = chromium.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield made
    assert faults == []
    made.close()


@pytest.mark.parametrize("name", VARIANTS)
def test_axe_finds_nothing_and_a_phone_sees_all(tab: Any, addresses: Any, name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    tab.goto(addresses(name))
    options: dict[str, Any] = {"resultTypes": ["violations"]}  # to describe what passes takes longer than to look
    if name != "many":
        tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    else:  # of some thousand cells; their colours and sizes are those of the other pages
        options["rules"] = {rule: {"enabled": False} for rule in ("color-contrast", "target-size")}
    for width, scheme in LOOKS:
        tab.set_viewport_size({"width": width, "height": 900})
        tab.emulate_media(color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        if name in IN_BOTH or (width, scheme) == LOOKS[[*VARIANTS].index(name) % 2]:
            found = axe.Axe().run(tab, options=options).response
            assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == [], (width, scheme)
    assert tab.title().startswith("viubench")
    assert tab.locator("img").count() == 0


OFF_THE_PAPER = """(width) => [...document.querySelectorAll("td, th, p, li, dd, pre, h1, h2, h3, h4, figcaption, svg")]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > width + 1)
    .map((one) => one.textContent.slice(0, 80))"""
OVERFLOWS = "(all) => all.map((one) => getComputedStyle(one).overflowY)"
CONTROLS = "input, select, button:not(.thumb, .stage, thead button)"


PRINTED = ["ordinary", "no frames", "settings", "frontier, many", "probe-data"]
PRINTED += [name for name in VARIANTS if "long names" in name]


@pytest.mark.parametrize("name", PRINTED)
def test_paper_holds_all_of_it_and_nothing_to_press(tab: Any, addresses: Any, name: str) -> None:
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(addresses(name))
    tables = tab.locator("table").count()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.set_viewport_size({"width": A4_ACROSS, "height": 700})
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.evaluate("document.documentElement.scrollWidth") == A4_ACROSS
    assert tab.evaluate(OFF_THE_PAPER, A4_ACROSS) == []
    assert tab.locator(CONTROLS).evaluate_all("(all) => all.filter((one) => one.checkVisibility()).length") == 0
    assert set(tab.locator("pre, .question, .scroll").evaluate_all(OVERFLOWS)) <= {"visible"}
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator("table").count() == tables


NUMBER = re.compile(r"\d+\.\d")


@pytest.mark.parametrize("name", ["many", "frontier, many"])
def test_a_table_wider_than_paper_is_printed_whole(tab: Any, addresses: Any, name: str, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on the PATH")
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(addresses(name))
    told = Counter(number for cell in tab.locator("td").all_text_contents() for number in NUMBER.findall(cell))
    assert told.total() > 100
    tab.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    assert tab.locator("table.block").count() == 0, "the screen has its table again"

    def read(*options: str) -> str:
        command = ["pdftotext", *options, str(tmp_path / "page.pdf"), "-"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert told - Counter(NUMBER.findall(read("-layout"))) == Counter()
    (width,) = set(re.findall(r'<page width="([0-9.]+)"', read("-bbox")))
    assert max(map(float, re.findall(r'xMax="([0-9.]+)"', read("-bbox")))) < float(width) - MARGIN


@pytest.mark.parametrize("name", [name for name in VARIANTS if "right to left" in name])
def test_a_name_from_right_to_left_reorders_nothing_beside_it(tab: Any, addresses: Any, name: str) -> None:
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(addresses(name))
    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    met, wrong = tab.evaluate(IN_ORDER)
    assert met > 0
    assert wrong == []
