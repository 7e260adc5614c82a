"""The report page in a real browser: opened from disk, no network, sorted, filtered, themed, and narrow."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from report_runs import write_run
from training_runs import write_answers, write_training

from reports.pages.leaderboard_page import write
from viubench.tasks.registry import Catalogue

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\x1b[31m\u202e\x00"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    said = {"response": HOSTILE, "question": HOSTILE}
    runs = [
        write_run(folder / "a", skill=0.2, n=8, strips=1, measured=True),
        write_run(folder / "b", model="model-b", skill=0.6, n=8, strips=1, measured=True),
        write_run(folder / "c", model=HOSTILE, skill=0.4, n=8, changes=said, measured=True),
        write_run(folder / "blind", model="blind", engine="blind", skill=0.21, n=8, measured=True),
    ]
    training = write_training(folder / "train", steps=60, warm=40, every=10, evaluate=20, alarm=HOSTILE)
    for step in range(0, 60, 10):
        write_answers(training, step, {"answer": HOSTILE * 30, "question": HOSTILE, "sample": HOSTILE})
    write(runs, folder / "leaderboard.html", Catalogue().references, trainings=[training])
    return (folder / "leaderboard.html").as_uri()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One of everything, for what looks at every element."""
    folder = tmp_path_factory.mktemp("small")
    tasks = ["viubench_count_easy", "viubench_ground_mirror", "viubench_jigsaw_easy"]
    runs = [
        write_run(folder / name, model=model, tasks=tasks, suite=False, n=12, strips=1, measured=True)
        for name, model in (("a", "model-a"), ("b", "model-b"), ("again", "model-a"))
    ]
    training = write_training(folder / "train", steps=8, warm=0, every=4, evaluate=8)
    write_answers(training, 7)
    write(runs, folder / "small.html", Catalogue().references[:1], trainings=[training], samples_per_task=1)
    return (folder / "small.html").as_uri()


def names(page: Any) -> list[str]:
    return [text.split("\n")[0] for text in page.locator("tr.model .who").all_inner_texts() if "vllm" in text]


def test_nothing_is_fetched_and_hostile_text_is_text(page: Any, address: str) -> None:
    page.locator("#more").click()
    while page.locator("#more").is_visible():
        page.locator("#more").click()
    page.wait_for_timeout(200)
    assert {url for url in page.seen if not url.startswith("data:")} == {address}
    assert page.title() == "viubench leaderboard"
    page.locator("input[name=text]").fill("onerror")
    responses = page.locator(".card pre").all_inner_texts()
    assert any("</script><img src=x" in text and "␛[31m‹U+202E›␀" in text for text in responses)
    assert page.locator("img:not(.strip img)").count() == 0


def test_sorting_by_keyboard_keeps_the_baselines_in_sight(page: Any) -> None:
    assert names(page)[0] == "model-b"
    header = page.locator(".board thead th").nth(1)
    header.locator("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(page)[0] == "model-a"
    headings = page.locator(".board .part").all_inner_texts()
    assert [heading.split(":")[0] for heading in headings] == ["Models", "Baselines", "Published"]
    assert page.locator("tbody").nth(1).locator("tr.blind").is_visible()


def test_a_sample_opens_with_its_frames_and_bars(page: Any) -> None:
    page.locator("select[name=task]").select_option("viubench_ground_mirror")
    card = page.locator(".card").first
    assert card.locator("h3").inner_text() == "viubench_ground_mirror"
    strip = card.locator(".strip img")
    strip.scroll_into_view_if_needed()
    assert strip.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 1000
    assert card.locator(".times span").count() == 12
    frame, target = strip.bounding_box(), card.locator(".lane.target i").bounding_box()
    assert frame["x"] <= target["x"]
    assert target["x"] + target["width"] <= frame["x"] + frame["width"] + 1
    assert card.locator(".answer").count() == 4


def test_an_order_is_laid_out_in_thumbnails_of_its_clips(page: Any) -> None:
    from playwright.sync_api import expect

    page.locator("select[name=task]").select_option("viubench_jigsaw_easy")
    card = page.locator(".card").first
    card.scroll_into_view_if_needed()
    target = card.locator("> p .chip")
    assert target.locator("canvas").count() == target.count() == 6
    expect(target.first.locator("canvas")).not_to_have_attribute("width", "1")  # cut once the strip is there
    drawn = """(canvas) => new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size"""
    assert target.last.locator("canvas").evaluate(drawn) > 20
    order = [int(text) for text in target.all_inner_texts()]
    assert [int(c.get_attribute("data-frame")) for c in target.locator("canvas").all()] == [2 * (n - 1) for n in order]


def test_models_and_columns_are_chosen_and_the_choice_comes_back(page: Any) -> None:
    heads = page.locator(".board thead th:visible")
    page.locator("#tools summary").click()
    page.get_by_role("button", name="No tasks").click()
    page.get_by_role("checkbox", name="jigsaw hard").check()
    page.keyboard.press("Escape")
    page.locator("#tools input[name=rows]").fill("MODEL-B")

    def seen() -> tuple[list[str], list[str]]:
        models = page.locator(".board tr.model:visible .who").all_inner_texts()
        return heads.all_inner_texts(), [text.split("\n")[0] for text in models]

    before = seen()
    assert before[1][0] == "model-b"
    assert "model-a" not in before[1]
    assert "jigsaw hard" in before[0]
    assert "count easy" not in before[0]
    assert page.locator(".board tr.blind").is_visible()  # what a score is measured against stays
    page.reload()
    assert seen() == before
    assert page.locator("#tools input[name=rows]").input_value() == "MODEL-B"


def test_the_scores_leave_as_a_file(page: Any) -> None:
    with page.expect_download() as saved:
        page.locator("#download button").first.click()
    with open(saved.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 9 * 8
    assert {row["status"] for row in rows} > {"ok"}
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    with page.expect_download() as saved:
        page.locator("#download button").last.click()
    assert [row["id"] for row in json.loads(saved.value.path().read_text())] == [row["id"] for row in rows]


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark")])
def test_no_finding_of_axe(page: Any, small: str, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(small)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.locator(".card").count() > 1
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20
    assert [(v["impact"], v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []


def test_filters_show_what_they_say(page: Any) -> None:
    from playwright.sync_api import expect

    page.locator("select[name=model]").select_option("model-b")
    page.locator("select[name=status]").select_option(index=0)
    assert set(page.locator(".answer b").all_inner_texts()) == {"model-b"}
    for grade, score in (("right", "1"), ("wrong", "0")):
        page.locator("select[name=grade]").select_option(grade)
        scored = page.locator(".answer:has(.status:not(.bad)) > p:first-child").all_inner_texts()
        assert scored
        assert all(text.split()[-1] == score for text in scored)
    page.locator("select[name=grade]").select_option("")
    page.locator("select[name=model]").select_option("")
    page.locator("a[href*='status=']:not([href*='status=ok'])").first.click()
    expect(page.locator("select[name=status]")).not_to_have_value("")
    status = page.locator("select[name=status]").input_value()
    shown = page.locator(".answer .status").all_inner_texts()
    assert shown
    assert set(shown) == {status.replace("_", " ")}


def test_the_view_comes_back_from_its_address(page: Any) -> None:
    page.locator(".board thead th").nth(1).locator("button").click()
    page.locator(".board thead th").nth(1).locator("button").click()
    page.locator("select[name=task]").select_option("viubench_jigsaw_easy")
    page.locator("#theme").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark != "rgb(255, 255, 255)"
    assert names(page)[0] == "model-a"
    assert set(page.locator(".card h3").all_inner_texts()) == {"viubench_jigsaw_easy"}


@pytest.mark.parametrize("width", [1440, 360])
def test_the_curves_of_a_training_fill_their_figures(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_role("link", name="Training").click()
    assert "␛[31m‹U+202E›␀" in page.locator(".training .findings").inner_text()
    plots = page.get_by_role("img", name="drawn by step")
    assert plots.count() == page.locator(".training figure").count() > 20
    for plot in plots.all():
        box, figure = plot.locator("svg").bounding_box(), plot.locator("..").bounding_box()
        assert figure["x"] <= box["x"]
        assert box["x"] + box["width"] <= min(figure["x"] + figure["width"] + 1, width)
        assert box["width"] > 250
    figure = page.locator("figure", has_text="evaluation, miou").first
    assert not figure.locator("table").is_visible()
    figure.locator("summary").click()
    assert figure.locator("thead th").all_inner_texts() == ["step", "score", "exact match", "evaluation, miou"]


def test_the_answers_of_a_step_are_opened_with_the_keyboard(page: Any) -> None:
    page.locator(".training .group > summary", has_text="Answers").click()
    steps = page.locator(".sampled > summary")
    assert steps.count() == 6
    assert not page.locator(".sampled table").first.is_visible()
    steps.first.focus()
    page.keyboard.press("Enter")
    first = page.locator(".sampled table").first
    assert first.locator("thead th").all_inner_texts() == ["Answer", "Read as", "Reward", "Tokens"]
    assert "␛[31m‹U+202E›␀" in first.locator(".said").first.inner_text()
    assert first.locator("tbody tr").nth(5).locator("td").all_inner_texts() == ["I see <3>", "3", "100.0 ✓", "5"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_printed_page_is_light_and_as_wide_as_its_paper(page: Any) -> None:
    page.set_viewport_size({"width": 1046, "height": 700})  # A4 across, less the margins
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == 1046
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".task table").last.is_visible()  # folded on the screen
    assert not page.locator("#tools").is_visible()


def test_without_javascript_the_table_is_there(chromium: Any, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    assert "model-b" in tab.locator(".board").inner_text()
    assert tab.locator("noscript").inner_text() != ""
    assert not tab.locator("#theme").is_visible()
    context.close()
