"""The leaderboard with nothing but a keyboard: Tab reaches every control in turn, and each does what it says."""

from __future__ import annotations

from typing import Any

import pytest
from keyboard import tab_to
from report_runs import write_run

from reports.pages.leaderboard_page import write
from viubench.tasks.registry import Catalogue

pytestmark = pytest.mark.browser

TASKS = ["viubench_count_easy", "viubench_ground_mirror"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("keyboard")
    said = {"reasoning": "First I look. " * 200, "response": "I count them. " * 400 + "So there are three."}
    runs = [
        write_run(folder / name, model=f"model-{name}", skill=skill, tasks=TASKS, suite=False, n=12, strips=2,
                  measured=True, changes=said)
        for name, skill in (("a", 0.8), ("b", 0.3), ("c", 0.1))
    ]  # fmt: skip
    write(runs, folder / "page.html", Catalogue().references[:1])
    return (folder / "page.html").as_uri()


def test_each_control_in_turn(page: Any) -> None:
    from playwright.sync_api import expect

    def press(key: str, control: Any) -> None:
        tab_to(page, control)
        page.keyboard.press(key)

    press("Enter", page.locator("nav a", has_text="Runs"))
    assert page.evaluate("location.hash") == "#manifest"
    page.reload()
    press("Enter", page.locator("#theme"))
    assert page.locator("html").get_attribute("data-theme") == "dark"
    press("Enter", page.locator(".costs summary"))
    assert page.locator(".costs table").is_visible()
    press("Enter", page.locator(".said .findings summary").first)
    assert page.locator(".said .findings li").first.is_visible()

    press("m", page.locator("#tools input[name=rows]"))
    page.keyboard.type("odel-b")
    assert page.locator(".board tr.model:visible").count() == 1
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    press("Enter", page.locator("#tools summary"))
    press("Space", page.locator("#tools input[type=checkbox]").first)
    assert not page.locator(".board thead th").nth(1).is_visible()
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    assert not page.locator("#tools fieldset").is_visible()
    press("Enter", page.locator(".board thead th button").first)
    assert page.locator(".board thead th").first.get_attribute("aria-sort") == "descending"
    press("Enter", page.locator(".evidence summary"))
    assert page.locator(".evidence table").is_visible()

    for name in ("task", "differ", "model", "against", "grade", "status", "rule"):
        field = page.locator(f"#filters [name={name}]")
        press("ArrowDown", field)
        assert field.input_value() != "", name
        assert page.evaluate(f"location.hash.includes('{name}=')"), name
        page.keyboard.press("ArrowUp")
        assert field.input_value() == "", name
    tab_to(page, page.locator("#filters [name=text]"))
    page.keyboard.type("mirror")
    expect(page.locator(".list small").first).to_have_text("viubench_ground_mirror")
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")

    press("ArrowDown", page.locator(".list [aria-current]"))  # the list is one stop
    assert page.locator(".steps .soft").inner_text().startswith("2 of ")
    press("Enter", page.locator(".steps button", has_text="Previous"))
    assert page.locator(".steps .soft").inner_text().startswith("1 of ")
    page.locator(".player.drawn").wait_for()
    press("Enter", page.locator(".stage"))
    assert page.locator("#zoom").is_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert not page.locator("#zoom").is_visible()
    at = page.locator(".controls .at")
    assert "frame 2 of" in at.inner_text()
    press("Enter", page.locator(".controls button[title^=Previous]"))
    assert "frame 1 of" in at.inner_text()
    press("Space", page.locator(".controls .play"))
    assert page.locator(".controls .play").inner_text() == "Pause"
    page.keyboard.press("Space")
    press("Enter", page.locator(".controls button[title^=Next]"))
    tab_to(page, page.locator(".controls select"))
    speed = page.locator(".controls select").input_value()
    page.keyboard.press("ArrowDown")
    assert page.locator(".controls select").input_value() != speed
    press("Enter", page.locator(".thumb").nth(5))
    assert "frame 6 of" in at.inner_text()
    press("Enter", page.locator(".truth"))
    assert page.locator(".target .value").is_visible()


AT_ITS_END = "(node) => node.scrollTop > 0 && node.scrollTop + node.clientHeight > node.scrollHeight - 2"


def test_reasoning_is_unfolded_and_a_long_answer_read_to_its_end(page: Any) -> None:
    from playwright.sync_api import expect

    page.locator("#filters [name=text]").focus()
    page.keyboard.type("First I look")
    expect(page.locator(".list button")).to_have_count(1)
    answer = page.locator(".answer").first
    assert not answer.locator("pre").first.is_visible()
    tab_to(page, answer.locator("> summary"))
    page.keyboard.press("Enter")
    reasoning, response = answer.locator("pre").all()
    assert response.is_visible()
    assert not reasoning.is_visible(), "the reasoning stays folded"
    assert "characters cut" in response.inner_text()
    assert response.inner_text().endswith("So there are three.")
    tab_to(page, answer.locator(".reasoning summary"), most=1)
    page.keyboard.press("Space")
    assert reasoning.is_visible()
    for text in (reasoning, response):
        tab_to(page, text, most=1)
        page.keyboard.press("End")
        page.wait_for_function(f"() => ({AT_ITS_END})(document.activeElement)")


def test_an_answer_that_a_filter_opened_is_folded_again_without_it(page: Any) -> None:
    from playwright.sync_api import expect

    open_answers = page.locator(".answers > .answer[open]")
    expect(page.locator(".answers > .answer")).to_have_count(3)
    assert open_answers.count() == 0
    page.locator("select[name=model]").select_option("model-b")
    expect(open_answers.locator("b")).to_have_text(["model-b"])
    page.locator("select[name=model]").select_option("model-c")
    expect(open_answers.locator("b")).to_have_text(["model-c"])
    page.get_by_role("button", name="Next", exact=True).click()
    expect(open_answers.locator("b")).to_have_text(["model-c"])
    page.locator("select[name=model]").select_option("")
    expect(open_answers).to_have_count(0)
    page.locator(".answers > .answer > summary").nth(1).click()
    opened = open_answers.locator("b").inner_text()
    page.get_by_role("button", name="Next", exact=True).click()
    expect(open_answers.locator("b")).to_have_text([opened])  # what the reader opened stays so


def test_flips_against_a_model_are_those_that_only_one_has_right(page: Any) -> None:
    data = page.evaluate("data")
    first, second = "model-c", "model-b"
    page.locator("select[name=against]").select_option(second)
    page.locator("select[name=model]").select_option(first)
    page.locator("select[name=grade]").select_option("right")
    places = [data["models"].index(name) for name in (first, second)]
    scores = [{a["model"]: a["score"] for a in sample["answers"]} for sample in data["samples"]]
    wanted = sum(one[places[0]] == 1 and one[places[1]] < 0.5 for one in scores)
    assert page.locator(".list button").count() == wanted > 0
    for _ in range(wanted):
        marks = page.locator(".answers > .answer > summary").evaluate_all(
            "(all) => all.slice(0, 2).map((s) => s.innerText)"
        )
        assert marks[0].startswith("✓")
        assert marks[1].startswith(("✗", "–"))
        assert [first in marks[0], second in marks[1]] == [True, True]
        page.locator("h2#samples").click()
        page.keyboard.press("j")
    page.reload()
    assert page.locator(".list button").count() == wanted


def test_what_an_audit_asks_for(chromium: Any, address: str) -> None:
    tab = chromium.new_page(viewport={"width": 1440, "height": 900})
    tab.add_init_script("""
        window.shift = 0;
        new PerformanceObserver((list) => { for (const one of list.getEntries()) window.shift += one.value; })
            .observe({ type: "layout-shift", buffered: true });
    """)
    tab.goto(address)
    tab.locator(".player.drawn").wait_for()
    assert tab.locator("html").get_attribute("lang") == "en"
    assert tab.locator("meta[name=viewport]").get_attribute("content") == "width=device-width, initial-scale=1"
    assert tab.locator("meta[name=description]").get_attribute("content") == "3 models on 2 tasks, 24 samples each"
    assert tab.locator("h1").count() == 1
    assert tab.evaluate("shift") < 0.1
    tab.close()
