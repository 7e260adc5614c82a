"""Every control of every page that is a file, with nothing but a keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keyboard
import pytest
from page_variants import VARIANTS

pytestmark = pytest.mark.browser

PAGES = ["ordinary", "watch", "comparison", "settings", "frontier", "probe-data"]
WITH_SAMPLES = ["ordinary", "watch", "comparison"]
IS_OPEN = "(summary) => summary.parentNode.open"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: VARIANTS[name](tmp_path_factory.mktemp("page")).as_uri() for name in PAGES}


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    yield made
    assert faults == []
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_tab_reaches_every_control_and_the_focus_is_seen(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.goto(addresses[name])
    assert keyboard.unreached(tab) == []
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert keyboard.unreached(tab) == []


@pytest.mark.parametrize("name", PAGES)
def test_what_is_folded_opens_and_closes(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.goto(addresses[name])
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    folds = tab.locator("summary")
    assert folds.count() > 0
    for fold in folds.all():
        fold.focus()
        was = fold.evaluate(IS_OPEN)
        for key, now in (("Enter", not was), ("Space", was)):
            tab.keyboard.press(key)
            assert fold.evaluate(IS_OPEN) == now, fold.inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_their_sections_and_the_theme_is_kept(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.goto(addresses[name])
    links = tab.locator("header nav a")
    assert links.count() > 1
    for link in links.all():
        link.focus()
        tab.keyboard.press("Enter")
        target = link.get_attribute("href")
        assert tab.evaluate("location.hash") == target
        assert tab.locator(target).is_visible()
    tab.goto(addresses[name])
    tab.locator("#theme").focus()
    for theme in ("dark", "light", "dark"):
        tab.keyboard.press("Enter")
        assert tab.locator("html").get_attribute("data-theme") == theme
    tab.reload()
    assert tab.locator("html").get_attribute("data-theme") == "dark"
    assert tab.locator("#theme").inner_text() == "Light"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_the_theme_it_would_change_to(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.emulate_media(color_scheme="dark")
    tab.goto(addresses[name])
    assert tab.locator("#theme").inner_text() == "Light"


@pytest.mark.parametrize("name", WITH_SAMPLES)
def test_each_filter_filters(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.goto(addresses[name])
    samples = tab.evaluate("data.samples.length")
    for field in tab.locator("#filters select").all():
        field.focus()
        tab.keyboard.press("ArrowDown")
        assert field.input_value() != ""
        assert f"{field.get_attribute('name')}=" in tab.evaluate("location.hash")
        tab.keyboard.press("ArrowUp")
        assert tab.locator(".list button").count() == samples
    tab.locator("#filters input").focus()
    tab.keyboard.type("nobody says this")
    assert "No sample is left" in tab.locator(".sample").inner_text()


@pytest.mark.parametrize("name", WITH_SAMPLES)
def test_frames_and_samples_are_walked_through(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.goto(addresses[name])
    tab.locator(".player.drawn").wait_for()
    at, place = tab.locator(".controls .at"), tab.locator(".steps .soft")
    tab.locator(".controls button[title^=Next]").focus()
    tab.keyboard.press("Enter")
    assert "frame 2 of" in at.inner_text()
    tab.locator(".stage").focus()
    tab.keyboard.press("Enter")
    zoom = tab.locator("#zoom")
    assert zoom.is_visible()
    zoom.locator(".close").focus()
    tab.keyboard.press("Enter")
    assert not zoom.is_visible()
    tab.locator(".list [aria-current]").focus()
    tab.keyboard.press("ArrowDown")
    assert place.inner_text().startswith("2 of ")
    tab.locator(".steps button", has_text="Previous").focus()
    tab.keyboard.press("Enter")
    assert place.inner_text().startswith("1 of ")
    for key, shown in (("t", "true"), ("t", "false")):
        tab.keyboard.press(key)
        assert tab.locator(".truth").get_attribute("aria-pressed") == shown


def test_the_leaderboard_s_own_controls(tab: Any, addresses: dict[str, str]) -> None:
    tab.goto(addresses["ordinary"])
    heads = tab.locator(".board thead th:visible")
    columns = heads.count()
    tab.locator("#tools summary").focus()
    tab.keyboard.press("Enter")
    for name, count in (("No tasks", columns - 3), ("All", columns)):
        tab.get_by_role("button", name=name, exact=True).focus()
        tab.keyboard.press("Enter")
        assert heads.count() == count
    tab.keyboard.press("Escape")
    for button, ending in zip(tab.locator("#download button").all(), (".csv", ".json"), strict=True):
        button.focus()
        with tab.expect_download() as saved:
            tab.keyboard.press("Enter")
        assert saved.value.suggested_filename.endswith(ending)
    tab.locator("#tasks + details td a").first.focus()
    tab.keyboard.press("Enter")
    assert "status=" in tab.evaluate("location.hash")
    assert tab.locator("select[name=status]").input_value() != ""
    tab.locator("#board").evaluate("(node) => node.scrollIntoView()")
    tab.locator(".scroll.tall").first.focus()
    tab.set_viewport_size({"width": 390, "height": 900})
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("() => document.activeElement.scrollLeft > 0")


@pytest.mark.parametrize("name", ["ordinary", "comparison"])
def test_a_command_is_copied(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.goto(addresses[name])
    tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    button = tab.locator(".copy").first
    button.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.querySelector('.copy').textContent === 'Copied'")
    assert tab.evaluate("navigator.clipboard.readText()") == tab.locator(".command pre").first.inner_text()


def test_a_step_of_a_watch_leads_to_its_samples_and_answers(tab: Any, addresses: dict[str, str]) -> None:
    tab.goto(addresses["watch"])
    row = tab.locator(".watch tbody tr", has_text="checkpoint-5")
    row.get_by_role("link", name="samples").focus()
    tab.keyboard.press("Enter")
    assert "model=" in tab.evaluate("location.hash")
    assert tab.locator("select[name=model]").input_value() != ""
    answers = row.get_by_role("link", name="answers")
    answers.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == answers.get_attribute("href")
    assert tab.locator(".sampled[open]").count() == 1


@pytest.mark.parametrize("name", ["ordinary", "comparison"])
def test_each_column_sorts(tab: Any, addresses: dict[str, str], name: str) -> None:
    tab.goto(addresses[name])
    heads = tab.locator(".board thead th")
    for place, head in enumerate(heads.all()):
        head.locator("button").focus()
        for way in ("descending", "ascending"):
            tab.keyboard.press("Enter")
            assert head.get_attribute("aria-sort") == way
        assert f"sort={place}.asc" in tab.evaluate("location.hash")
