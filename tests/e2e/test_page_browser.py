"""The report page in a real browser: opened from disk, no network, sorted, filtered, themed, and narrow."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from report_runs import PROTOCOL, write_run
from training_runs import write_answers, write_training

from reports.pages.leaderboard_page import write
from viubench.tasks.registry import Catalogue

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">\x1b[31m\u202e\x00"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    said = {"response": HOSTILE, "question": HOSTILE}
    narrow = PROTOCOL.model_copy(update={"protocol": "viubench+max_pixels=65536", "prompt": "published"})
    runs = [
        write_run(folder / "a", skill=0.2, n=8, strips=1, measured=True),
        write_run(folder / "b", model="model-b", skill=0.6, n=8, strips=3, measured=True),
        write_run(folder / "c", model=HOSTILE, skill=0.4, n=8, changes=said, measured=True, protocol=narrow),
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
    for _ in range(5):
        page.keyboard.press("j")
    page.wait_for_timeout(200)
    assert {url for url in page.seen if not url.startswith("data:")} == {address}
    assert page.title() == "viubench leaderboard"
    page.locator("input[name=text]").fill("onerror")
    responses = page.locator(".sample pre").all_text_contents()
    assert any("</script><img src=x" in text and "␛[31m‹U+202E›␀" in text for text in responses)
    assert page.locator("img").count() == 0


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
    assert page.locator(".board tbody").nth(1).locator("tr.blind").is_visible()


PAINTED = """(all) => all.map((canvas) =>
    new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size)"""


def painted(page: Any, canvas: str) -> bool:
    """Whether frames are drawn in all of these, once the sample's are there."""
    page.locator(".player.drawn").wait_for()
    colours = page.locator(canvas).evaluate_all(PAINTED)
    return len(colours) > 0 and min(colours) > 20


def test_the_first_sample_the_two_best_disagree_on_is_two_actions_away(page: Any, address: str) -> None:
    page.goto(address)  # the first
    page.get_by_role("link", name="See where model-b and").click()  # the second
    assert painted(page, ".stage canvas")
    box = page.locator(".stage").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 900
    assert box["width"] > 500
    grades = page.locator(".answers > .answer .mark").evaluate_all("(all) => all.map((m) => m.textContent)")
    assert {grades[0], grades[1]} in ({"✓", "✗"}, {"✓", "–"})


def test_frames_are_stepped_played_and_enlarged_by_keys_and_buttons(page: Any) -> None:
    from playwright.sync_api import expect

    page.locator("select[name=task]").select_option("viubench_ground_mirror")
    assert painted(page, ".sample canvas")
    at = page.locator(".controls .at")
    assert page.locator(".thumb").count() == 12
    page.locator("h2#samples").click()  # no field has the keys
    page.keyboard.press("ArrowRight")
    assert at.inner_text().startswith("3.0 s · frame 2 of 12")
    page.get_by_role("button", name="Previous frame (←)").click()
    assert at.inner_text().startswith("0.0 s · frame 1 of 12")
    page.locator(".thumb").nth(10).click()
    assert page.locator(".thumb[aria-current]").inner_text() == page.locator(".thumb").nth(10).inner_text()
    page.get_by_role("combobox", name="Speed").select_option("64")
    page.get_by_role("button", name="Play").click()
    expect(at).to_contain_text("frame 12 of 12")
    page.get_by_role("button", name="Play").wait_for()  # it stops at the end
    page.locator(".stage").click()
    enlarged = page.locator("#zoom canvas")
    assert enlarged.bounding_box()["width"] > 1000
    page.keyboard.press("ArrowLeft")
    assert "frame 11 of 12" in page.locator("#zoom p").inner_text()
    page.keyboard.press("Escape")
    assert not enlarged.is_visible()
    page.keyboard.press("z")
    assert enlarged.is_visible()
    page.get_by_role("button", name="Close").click()
    assert not enlarged.is_visible()


def test_the_truth_is_shown_on_demand_and_stays_shown(page: Any) -> None:
    page.locator("select[name=task]").select_option("viubench_ground_mirror")
    truth, lane = page.locator(".target .value"), page.locator(".lane.target")
    assert not truth.is_visible()
    assert not lane.is_visible()
    page.get_by_role("button", name="Show the truth").click()
    assert truth.inner_text().endswith(" s")
    reel, mark = page.locator(".thumbs").bounding_box(), lane.locator("i").bounding_box()
    assert reel["x"] <= mark["x"]
    assert mark["x"] + mark["width"] <= reel["x"] + reel["width"] + 1
    start, end = (float(part) for part in truth.inner_text().removesuffix(" s").split("–"))
    inside = page.locator(".thumb.altered span").all_inner_texts()
    times = page.locator(".thumb span").all_inner_texts()
    assert inside == [time for time in times if start <= float(time) <= end]
    page.get_by_role("button", name="Next", exact=True).click()
    assert truth.is_visible()
    page.reload()
    assert truth.is_visible()
    page.locator("h2#samples").click()
    page.keyboard.press("t")
    assert not truth.is_visible()


def test_the_list_is_walked_by_keys_and_the_address_keeps_the_place(page: Any) -> None:
    entries = page.locator(".list button")
    total = entries.count()
    assert page.locator(".list").bounding_box()["height"] <= 900  # beside the detail, not a column of all of them
    page.locator("h2#samples").click()
    for key in "jjjk":
        page.keyboard.press(key)
    assert entries.nth(2).get_attribute("aria-current") == "true"
    assert page.locator(".steps .soft").inner_text() == f"3 of {total}"
    name, asked = page.locator(".sample h3").inner_text(), page.locator(".sample .question").inner_text()
    assert name.startswith("clip_")  # a file, not a hash
    page.reload()
    assert entries.nth(2).get_attribute("aria-current") == "true"
    assert page.locator(".sample .question").inner_text() == asked
    entries.nth(4).focus()
    page.keyboard.press("Enter")
    assert page.locator(".steps .soft").inner_text() == f"5 of {total}"
    page.locator("input[name=text]").fill("jk")  # typed, not walked
    assert page.locator("input[name=text]").input_value() == "jk"


def test_an_answer_says_by_which_words_and_which_rule_it_was_read(page: Any) -> None:
    page.locator("h2#samples").click()
    assert not page.locator(".answer pre").first.is_visible()
    page.keyboard.press("o")
    assert page.locator(".answer pre").first.is_visible()
    assert "Read by: declared in the text." in page.locator(".answer").first.inner_text()
    page.keyboard.press("j")
    assert page.locator(".answer pre").first.is_visible()  # still open at the next sample


def test_an_order_is_laid_out_in_thumbnails_of_its_clips(page: Any) -> None:
    page.locator("select[name=task]").select_option("viubench_jigsaw_easy")
    page.get_by_role("button", name="Show the truth").click()
    target = page.locator(".target .chip")
    assert target.locator("canvas").count() == target.count() == 6
    assert painted(page, ".target canvas")
    order = [int(text) for text in target.all_inner_texts()]
    assert [int(c.get_attribute("data-frame")) for c in target.locator("canvas").all()] == [2 * (n - 1) for n in order]
    assert page.locator(".thumb.first").count() == 6  # where each clip begins


@pytest.mark.parametrize("width", [1440, 360])
def test_a_badge_stays_in_its_cell(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    row = page.locator(".board tr.model", has_text="max_pixels")
    badge, score = row.locator(".badge").first.bounding_box(), row.locator("td").first.bounding_box()
    assert badge["width"] > 50
    assert badge["x"] + badge["width"] <= score["x"]


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
    assert page.locator(".answer").count() > 1
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20
    assert [(v["impact"], v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []


def test_filters_show_what_they_say(page: Any) -> None:
    from playwright.sync_api import expect

    page.locator("select[name=model]").select_option("model-b")
    for grade, sign in (("right", "✓"), ("wrong", "✗")):
        page.locator("select[name=grade]").select_option(grade)
        for _ in range(3):
            first = page.locator(".answer").first
            assert first.locator("b").inner_text() == "model-b"
            assert first.locator(".mark").first.inner_text() in (sign, "–")
            page.locator("h2#samples").click()
            page.keyboard.press("j")
    page.locator("select[name=grade]").select_option("")
    page.locator("select[name=model]").select_option("")
    page.locator("select[name=differ]").select_option("first")
    for _ in range(3):
        signs = page.locator(".answer .mark").all_inner_texts()[:2]
        assert signs[0] == "✓"
        assert signs[1] in "✗–"
        page.locator("h2#samples").click()
        page.keyboard.press("j")
    page.locator("select[name=differ]").select_option("")
    page.locator("select[name=rule]").select_option("declared")
    assert page.locator(".list button").count() > 1
    page.locator("a[href*='status=']:not([href*='status=ok'])").first.click()
    expect(page.locator("select[name=status]")).not_to_have_value("")
    expect(page.locator("select[name=rule]")).to_have_value("")
    status = page.locator("select[name=status]").input_value()
    assert page.locator(".answer .status").first.inner_text() == status.replace("_", " ")
    page.locator("input[name=text]").fill("no such text anywhere")
    assert "No sample is left" in page.locator(".sample").inner_text()


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
    assert set(page.locator(".list small").all_text_contents()) == {"viubench_jigsaw_easy"}


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
