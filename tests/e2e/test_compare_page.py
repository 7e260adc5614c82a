"""The comparison's page in a real browser: from disk, no network, filtered, linked, themed, narrow, accessible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_runs import video, write_run
from typer.testing import CliRunner

from viubench.cli import app
from viubench.scoring.aggregate import summarise
from viubench.storage.run_dir import read_manifest, read_records, write_json
from viubench.video import filmstrip

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\x1b[31m\u202e\x00"

pytestmark = pytest.mark.browser

TASKS = ("viubench_count_easy", "viubench_count_hard", "viubench_ground_mirror", "viubench_ground_rotate",
         "viubench_jigsaw_easy")  # fmt: skip
BEFORE = dict(zip(TASKS, (0.5, 0.4, 0.3, 0.5, 0.6), strict=True))
AFTER = dict(zip(TASKS, (0.5, 0.45, 0.75, 0.55, 0.15), strict=True))


def run(folder: Path, **what: Any) -> Path:
    """A run whose results are those of its records, and whose failures are all the model's."""
    write_run(folder, tasks=TASKS, n=56, suite=False, **what)
    manifest = read_manifest(folder)
    records = [
        record.model_copy(update={"status": "unparsed"}) if record.status.endswith("_error") else record
        for record in read_records(folder)
    ]
    (folder / "records.jsonl").write_text("".join(f"{record.model_dump_json()}\n" for record in records))
    write_json(folder / "manifest.json", manifest)
    write_json(folder / "results.json", summarise(records, manifest))
    return folder


def film(folder: Path) -> None:
    """The same frames for samples of two tasks."""
    clip, count = video("any"), dict.fromkeys(("viubench_ground_mirror", "viubench_jigsaw_easy"), 12)
    for record in read_records(folder):
        if count.get(record.task):
            count[record.task] -= 1
            filmstrip.write(filmstrip.strip_path(folder, record.id), [clip])


def write(folder: Path) -> Path:
    """The page of two runs, one of them with hostile text in it."""
    a = run(folder / "before", model="base", skill=BEFORE)
    b = run(
        folder / "after", model=f"step-200 {HOSTILE}", skill=AFTER, changes={"response": HOSTILE, "answer": HOSTILE}
    )
    film(b)
    page = folder / "compare.html"
    done = CliRunner().invoke(app, ["compare", str(a), str(b), "--html", str(page), "--flips", "12"])
    assert done.exit_code == 0, done.output
    return page


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("compare")).as_uri()


def test_nothing_is_fetched_and_hostile_text_is_text(page: Any, address: str) -> None:
    for _ in range(5):
        page.keyboard.press("j")
    page.wait_for_timeout(200)
    assert {url for url in page.seen if not url.startswith("data:")} == {address}
    assert page.title() == "viubench comparison"
    assert "</script><img src=x" in page.locator(".versus").inner_text()
    assert "␛[31m‹U+202E›␀" in page.locator(".versus").inner_text()
    assert page.locator("img").count() == 0


def test_the_first_screen_says_what_changed_whether_it_is_real_and_what_was_not_seen(page: Any) -> None:
    told = page.locator(".findings").inner_text()
    assert "B is better on 1 and worse on 1 of 5 tasks" in told
    assert "On 2 of 5 tasks" in told
    assert "Changes below" in told
    words = page.locator(".plotted .word").all_inner_texts()
    assert words[:5] == page.locator("tbody td.word").all_inner_texts()
    bottom = page.locator(".findings").bounding_box()
    assert bottom["y"] + bottom["height"] < 900


def test_a_drawing_stands_where_its_number_says(page: Any) -> None:
    """The marks of the plot, read back through its ruler, are the differences written beside them."""
    ruler = page.locator(".line.ruler text").evaluate_all(
        "(all) => all.map((t) => [+t.getAttribute('x'), t.textContent])"
    )
    (x0, first), (x1, last) = ruler[0], ruler[-1]
    low, high = (float(text.replace("−", "-")) for text in (first, last))
    for line in page.locator(".plotted .line:not(.ruler)").all():
        ends = line.locator(".forest .ci").first
        left, right = (float(ends.get_attribute(name)) for name in ("x1", "x2"))
        told = line.locator(".difference small").inner_text().replace("−", "-").split(" to ")
        for x, text in zip((left, right), told, strict=True):
            assert low + (x - x0) / (x1 - x0) * (high - low) == pytest.approx(float(text), abs=0.4)


def test_a_count_leads_to_its_flips_and_the_view_comes_back(page: Any) -> None:
    row = page.locator("tbody tr", has_text="jigsaw")
    link = row.locator("a[href*='way=wrong']")
    expected = min(int(link.inner_text()), 12)
    link.click()
    page.wait_for_function("() => document.querySelector('select[name=task]').value === 'viubench_jigsaw_easy'")
    assert page.locator("select[name=way]").input_value() == "wrong"
    assert page.locator(".turn").inner_text() == "right → wrong"
    entries = page.locator(".list button")
    assert entries.count() == expected
    assert all("right → wrong" in text for text in entries.all_text_contents())
    assert f"{expected} of the " in page.locator("#count").inner_text()
    page.locator("#theme").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.locator("select[name=way]").input_value() == "wrong"
    assert entries.count() == expected
    page.locator("input[name=text]").fill("no such text anywhere")
    assert entries.count() == 0


def test_both_answers_stand_beside_the_frames(page: Any) -> None:
    page.locator(".plotted a", has_text="mirror").click()
    page.get_by_role("button", name="Show the truth").click()
    page.locator(".player.drawn").wait_for()
    assert page.locator(".lane").count() == 3
    reel, target = page.locator(".thumbs").bounding_box(), page.locator(".lane.target i").bounding_box()
    assert reel["x"] <= target["x"]
    assert target["x"] + target["width"] <= reel["x"] + reel["width"] + 1
    assert [text.split(" ")[0] for text in page.locator(".answer b").all_inner_texts()] == ["A", "B"]
    assert page.locator(".answer pre:visible").count() == 2  # both open


def test_the_table_is_sorted_and_the_mean_stays_below(page: Any) -> None:
    header = page.locator(".board thead th", has_text="change").locator("button")
    header.focus()
    page.keyboard.press("Enter")
    assert "mirror" in page.locator(".board tbody tr").first.inner_text()
    page.keyboard.press("Enter")
    assert "jigsaw" in page.locator(".board tbody tr").first.inner_text()
    assert "mean of 5 tasks" in page.locator(".board tfoot").inner_text()
    page.reload()
    assert "jigsaw" in page.locator(".board tbody tr").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.emulate_media(color_scheme=scheme)
    page.locator("tbody a[href*='mirror'][href*='wrong']").click()
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    what = {"resultTypes": ["violations"]} | ({} if scheme == "light" else {"runOnly": ["color-contrast"]})
    found = axe.Axe().run(page, options=what).response["violations"]
    serious = [(rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in ("serious", "critical")]
    assert serious == []


def test_without_javascript_the_numbers_are_there(chromium: Any, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    assert "mirror" in tab.locator(".board").inner_text()
    assert tab.locator(".plotted .forest").first.is_visible()
    assert tab.locator("noscript").inner_text() != ""
    assert not tab.locator("#theme").is_visible()
    context.close()
