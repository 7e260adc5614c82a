"""Every control of the viewer's pages, with nothing but a keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyboard
import page_variants
import pytest
from report_runs import write_run
from training_runs import write_answers
from viewing import to, viewer

pytestmark = pytest.mark.browser

TASKS = ("viubench_count_easy", "viubench_ground_mirror", "viubench_jigsaw_easy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten runs, one of them unfinished, and a training with its watch."""
    folder = tmp_path_factory.mktemp("view") / "runs"
    for name in "abcd":
        write_run(folder / name, model=f"model-{name}", n=24, tasks=TASKS, suite=False, measured=True)
    going = write_run(folder / "going", model="model-going", n=24, tasks=TASKS, suite=False, measured=True)
    (going / "results.json").unlink()
    lines = (going / "records.jsonl").read_bytes().splitlines(keepends=True)
    (going / "records.jsonl").write_bytes(b"".join(lines[:20]))
    (folder / "left").write_bytes(b"".join(lines[20:]))
    page_variants.watch(folder / "watched", "checkpoint-")
    write_answers(folder / "watched/train", 9, {})
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with viewer(folder) as address:
        yield address


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The first page; what it may say is that the frames of a sample are not there."""
    tab = chromium.new_page(viewport={"width": 1440, "height": 900})
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(address)
    yield tab
    assert faults == []
    tab.close()


def links(page: Any, address: str) -> dict[str, str]:
    """The pages of the viewer by what they show, as its first page leads to them."""
    to(page, address)
    keys = {
        row.locator(".who a").inner_text(): row.get_attribute("data-run") for row in page.locator("tr[data-run]").all()
    }
    found = {kind: page.locator(f"a[href^='/{kind}/']").first.get_attribute("href") for kind in ("training", "watch")}
    a, b = keys["model-a"], keys["model-b"]
    return {
        "runs": "/", "samples": f"/samples?run={a}&run={b}", "run": f"/run/{a}", "comparison": f"/compare?a={a}&b={b}",
        "going": f"/samples?run={keys['model-going']}", **found,
    }  # fmt: skip


def press(page: Any, control: Any, key: str = "Enter") -> None:
    control.focus()
    page.keyboard.press(key)


@pytest.mark.parametrize("name", ["runs", "samples", "run", "comparison", "training", "watch"])
def test_tab_reaches_every_control_and_the_focus_is_seen(page: Any, address: str, name: str) -> None:
    to(page, address, links(page, address)[name])
    page.wait_for_load_state("networkidle")
    assert keyboard.unreached(page) == []


def test_runs_are_found_opened_and_sent_to_their_samples(page: Any, address: str) -> None:
    to(page, address)
    rows = page.locator("tr[data-run]:visible")
    assert rows.count() == 10
    page.locator("#find").focus()
    page.keyboard.type("MODEL-")
    assert rows.count() == 5
    for name in ("a", "c"):
        press(page, page.get_by_role("checkbox", name=name, exact=True), "Space")
    press(page, page.get_by_role("button", name="Samples"))
    page.locator(".list button").first.wait_for()
    assert page.url.count("run=") == 2
    press(page, page.get_by_role("link", name="model-c"))
    page.get_by_role("heading", name="model-c").wait_for()
    press(page, page.get_by_role("link", name="ok", exact=True))
    page.locator(".list button").first.wait_for()
    assert page.locator("select[name=status]").input_value() == "ok"
    press(page, page.get_by_role("link", name="Runs"))
    page.get_by_role("heading", name="Trainings").wait_for()


def test_each_filter_filters_and_pages_are_turned(page: Any, address: str) -> None:
    from playwright.sync_api import expect

    to(page, address, links(page, address)["samples"])
    entries, count = page.locator(".list button"), page.locator("#count")
    expect(entries).to_have_count(50)
    for field in page.locator("#filters select").all():
        press(page, field, "ArrowDown")
        assert field.input_value() != ""
        page.wait_for_function("(name) => location.hash.includes(name)", arg=f"{field.get_attribute('name')}=")
        page.keyboard.press("ArrowUp")
        assert field.input_value() == ""
        expect(count).to_have_text("72 of 72 samples.")
        expect(entries).to_have_count(50)
    turning = page.locator("#turning span")
    press(page, page.locator("#after"))
    expect(turning).to_have_text("page 2 of 2")
    expect(entries).to_have_count(22)
    press(page, page.locator("#before"))
    expect(turning).to_have_text("page 1 of 2")
    expect(entries).to_have_count(50)


def test_an_answer_that_comes_late_changes_nothing(page: Any, address: str) -> None:
    from playwright.sync_api import expect

    to(page, address, links(page, address)["samples"])
    entries, held = page.locator(".list button"), []
    expect(entries).to_have_count(50)
    page.route("**/samples.json?*task=*", lambda route: held.append(route))
    task = page.locator("select[name=task]")
    press(page, task, "ArrowDown")
    page.wait_for_function("() => location.hash.includes('task=')")
    page.keyboard.press("ArrowUp")
    expect(entries).to_have_count(50)
    assert len(held) == 1
    with page.expect_response("**/samples.json?*task=*"):
        held[0].continue_()
    page.evaluate("new Promise((done) => setTimeout(done))")
    expect(page.locator("#count")).to_have_text("72 of 72 samples.")
    assert page.evaluate("data.total") == 72
    press(page, page.locator("#after"))
    expect(entries).to_have_count(22)


def test_what_came_in_since_is_shown_when_asked_for(page: Any, address: str, folder: Path) -> None:
    from playwright.sync_api import expect

    to(page, address, links(page, address)["going"])
    entries = page.locator(".list button")
    expect(entries).to_have_count(20)
    with (folder / "going/records.jsonl").open("ab") as records:
        records.write((folder / "left").read_bytes())
    newer = page.locator("#newer")
    expect(newer).to_be_visible(timeout=30_000)
    assert entries.count() == 20, "nothing moves under the reader"
    press(page, newer)
    expect(entries).to_have_count(50)
    expect(newer).to_be_hidden()


def test_a_training_leads_to_the_answers_of_other_steps_and_a_watch_to_its_runs(page: Any, address: str) -> None:
    known = links(page, address)
    to(page, address, known["training"])
    press(page, page.locator("#answers + .tools a").first)
    page.wait_for_url("**step=*")
    assert page.locator(".sampled[open]").count() == 1
    page.goto(address.split("/?")[0] + known["watch"])
    page.get_by_role("heading", name="Checkpoints").wait_for()
    press(page, page.get_by_role("link", name="run, step 50"))
    page.get_by_role("heading", name="checkpoint-5").wait_for()
    page.go_back()
    press(page, page.get_by_role("link", name="samples, step 50"))
    page.locator(".list button").first.wait_for()
    assert set(page.locator(".answer b").all_inner_texts()) == {"checkpoint-5"}
