"""The viewer in a real browser, by keyboard: entered by its address, filtered, paged, compared; nothing of axe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import page_variants
import pytest
from report_runs import write_run
from viewing import to, viewer

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\x1b[31m\u202e\x00"
TASKS = ("viubench_count_easy", "viubench_ground_mirror", "viubench_jigsaw_easy")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view") / "runs"
    more: dict[str, Any] = {"n": 24, "tasks": TASKS, "suite": False, "measured": True}
    write_run(folder / "a", skill=0.3, strips=24, **more)
    write_run(folder / "b", model="model-b", skill=0.7, strips=3, **more)
    write_run(folder / "c", model=HOSTILE, changes={"response": HOSTILE, "question": HOSTILE}, **more)
    going = write_run(folder / "going", model="model-d", **more)
    (going / "results.json").unlink()
    lines = (going / "records.jsonl").read_bytes().splitlines(keepends=True)
    (going / "records.jsonl").write_bytes(b"".join(lines[:20]) + lines[20][:40])
    (folder / "left").write_bytes(b"".join(lines[20:]))
    return folder


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with viewer(runs) as address:
        yield address


def test_runs_are_entered_ticked_and_compared_by_keyboard(page: Any, address: str, runs: Path) -> None:
    from playwright.sync_api import expect

    to(page, address)
    assert "token" not in page.url
    assert page.title() == "viubench runs"
    assert page.locator("img").count() == 0
    row = page.locator("tr[data-run]").filter(has_text="model-d")
    assert row.locator("[data-field=done]").inner_text() == "20"
    with (runs / "going/records.jsonl").open("r+b") as records:
        records.truncate(sum(len(line) for line in records.read().splitlines(keepends=True)[:20]))
        records.seek(0, os.SEEK_END)
        records.write((runs / "left").read_bytes())
    expect(row.locator("[data-field=done]")).to_have_text("72")
    for name in ("a", "b"):
        page.get_by_role("checkbox", name=name, exact=True).focus()
        page.keyboard.press("Space")
    assert page.locator("#chosen-words").inner_text() == "2 ticked"
    page.get_by_role("button", name="Compare").focus()
    page.keyboard.press("Enter")
    page.get_by_text("What changed?").wait_for()
    page.get_by_role("link", name="All samples").focus()
    page.keyboard.press("Enter")
    page.locator(".list button").first.wait_for()
    assert page.locator("select[name=differ]").input_value() == "best"


def test_samples_are_filtered_and_walked_through_over_pages_by_keyboard(page: Any, address: str) -> None:
    from playwright.sync_api import expect

    to(page, address, "/samples")
    page.locator(".player.drawn").wait_for()
    assert page.locator(".list button").count() == 50
    for _ in range(50):
        page.keyboard.press("j")
    expect(page.locator(".list button")).to_have_count(22)
    place = page.locator(".steps .soft")
    assert place.inner_text() == "51 of 72"
    assert "page=1" in page.url
    page.keyboard.press("k")
    expect(page.locator(".list button")).to_have_count(50)
    assert place.inner_text() == "50 of 72"
    page.keyboard.press("k")
    named = page.locator(".sample code").first.inner_text()
    page.reload()
    page.locator(".list button").first.wait_for()
    assert page.locator(".sample code").first.inner_text() == named, "the address keeps the sample"
    page.locator("select[name=task]").focus()
    page.keyboard.type("viubench_jig")
    expect(page.locator(".list button")).to_have_count(24)
    page.locator("input[name=text]").focus()
    page.keyboard.type("Question 7 ")
    expect(page.locator(".list button")).to_have_count(1)
    assert "text=Question" in page.url
    page.keyboard.press("Control+A")
    page.keyboard.type("nobody says this")
    page.get_by_text("No sample is left").wait_for()
    assert page.locator("#count").inner_text() == "0 of 72 samples."


def test_the_theme_goes_from_page_to_page(page: Any, address: str) -> None:
    to(page, address)
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.get_by_role("link", name="Samples").first.click()
    page.locator(".list button").first.wait_for()
    assert page.locator("html").get_attribute("data-theme") == "dark"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a viewer of a training and its watch, with long names and hostile text."""
    folder = tmp_path_factory.mktemp("watched") / "runs"
    page_variants.watch(folder, page_variants.LONG, page_variants.HOSTILE_TASKS, HOSTILE)
    with viewer(folder) as address:
        yield address


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_no_finding_of_axe_and_nothing_beside_a_phone(page: Any, watched: str, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(watched)
    to(page, watched)
    training, watch = (page.locator(f"a[href^='/{kind}/']").get_attribute("href") for kind in ("training", "watch"))
    keys = page.locator("tr[data-run]").evaluate_all("(rows) => rows.map((row) => row.dataset.run)")
    for path in ("/", "/samples", f"/run/{keys[0]}", f"/compare?a={keys[0]}&b={keys[1]}", training, watch):
        page.goto(watched.split("/?")[0] + path)
        page.wait_for_load_state("networkidle")
        found = axe.Axe().run(page).response
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], path
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
