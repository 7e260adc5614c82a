from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_runs import data_of, write_run

from reports.data.runs import load, load_runs
from reports.html.escape import shorten
from reports.html.svg import heat, stack, whisker
from reports.pages.leaderboard_page import render, write
from reports.sections.frames import axis, captions, clips, moments, place
from reports.sections.samples import browser, read_at, spans
from reports.sections.strips import MOST_BYTES, strip_of
from viubench.errors import ViubenchError
from viubench.schema import Failure, FrameInfo, Record, ReferenceRow
from viubench.storage.run_dir import read_records
from viubench.tasks.registry import Catalogue
from viubench.video import filmstrip

HOSTILE = "</script></style><img src=x onerror=alert(1)>\x1b[31m\x00\u202e&quot;{{ 7*7 }}'\"><svg/onload=alert(2)>"


class Tags(HTMLParser):
    """Every element and attribute of a page, and the text outside script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(tmp_path: Path, runs: list[Path], references: list[ReferenceRow] | None = None, **options: Any) -> str:
    out = tmp_path / "page" / "leaderboard.html"
    write(runs, out, references or [], **options)
    return out.read_text(encoding="utf-8")


@pytest.fixture
def hostile_run(tmp_path: Path) -> Path:
    run = write_run(
        tmp_path / "hostile",
        model=HOSTILE,
        n=3,
        measured=True,
        argv=["viubench", "run", HOSTILE],
        changes={
            "response": HOSTILE + "x" * 1_000_000 + "THE END",
            "answer": HOSTILE,
            "question": HOSTILE,
            "rule": HOSTILE,
            "cluster": HOSTILE,
            "id": HOSTILE,
            "target": {HOSTILE: HOSTILE},
            "finish_reason": HOSTILE,
            "groups": {HOSTILE: HOSTILE},
            "scores": {HOSTILE: 0.5},
            "error": Failure(fault=HOSTILE, detail=HOSTILE),
        },
    )
    for name in ("results.json", "manifest.json"):
        content = json.loads((run / name).read_text())
        tasks = content["tasks"]
        tasks[HOSTILE] = tasks["viubench_count_easy"] | {"metric": HOSTILE}
        if name == "results.json":
            tasks[HOSTILE] |= {"blind_statement": HOSTILE, "metrics": {HOSTILE: 0.1}, "protocol": HOSTILE}
        else:
            content |= {"packages": {HOSTILE: HOSTILE}, "hardware": {HOSTILE: HOSTILE}, "started": HOSTILE}
        (run / name).write_text(json.dumps(content))
    records = (run / "records.jsonl").read_text(encoding="utf-8").splitlines()
    own = [json.dumps(json.loads(line) | {"task": HOSTILE}) for line in records if '"viubench_count_easy"' in line]
    (run / "records.jsonl").write_text("\n".join([*records, *own]) + "\n", encoding="utf-8")
    return run


def test_hostile_text_in_every_field_stays_text(tmp_path: Path, hostile_run: Path) -> None:
    reference = ReferenceRow(model=HOSTILE, source=HOSTILE, protocol=HOSTILE, values={"viubench": 0.5})
    html = page(tmp_path, [hostile_run], [reference])
    found = Tags(html)
    names = [tag for tag, _ in found.tags]
    assert names.count("script") == 2
    assert names.count("style") == 1
    assert "img" not in names
    handlers = [key for _, attributes in found.tags for key in attributes if key.startswith("on") or key == "style"]
    assert handlers == []
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html)
    words = "".join(found.words)
    assert "␛[31m␀‹U+202E›" in words
    assert "{{ 7*7 }}" in words


def test_a_huge_response_is_cut_and_says_so(tmp_path: Path, hostile_run: Path) -> None:
    html = page(tmp_path, [hostile_run])
    responses = [a["response"] for s in data_of(html)["samples"] for a in s["answers"]]
    longest = max(responses, key=len)
    assert len(longest) < 4_200
    assert "characters cut" in longest
    assert longest.endswith("THE END")
    assert len(html) < 400_000


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    tasks = ["viubench_ground_mirror"]
    first = write_run(tmp_path / "one" / "a", tasks=tasks, suite=False, n=5, strips=2, measured=True)
    second = tmp_path / "two" / "a"
    shutil.copytree(first, second)
    lines = (second / "records.jsonl").read_text().splitlines(keepends=True)
    (second / "records.jsonl").write_text("".join(reversed(lines)))  # samples finish in any order
    references = Catalogue().references
    assert page(tmp_path, [first], references) == page(tmp_path, [second], references)


def test_policy_allows_this_style_and_script_and_nothing_else(tmp_path: Path) -> None:
    html = page(tmp_path, [write_run(tmp_path / "a", n=2, measured=True)])
    policy = next(a["content"] for tag, a in Tags(html).tags if tag == "meta" and "http-equiv" in a)
    assert policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for kind, block in (("style", r"<style>(.*?)</style>"), ("script", r"<script>(.*?)</script>")):
        text = re.search(block, html, re.DOTALL)
        assert text
        digest = base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    addresses = [a[key] or "" for _, a in Tags(html).tags for key in ("src", "href") if key in a]
    assert all(address.startswith("#") for address in addresses)


def test_the_main_table_stands_without_javascript(tmp_path: Path) -> None:
    references = [row.model_copy(update={"protocol": "viubench"}) for row in Catalogue().references]
    html = render(load_runs([write_run(tmp_path / "a", skill=0.5, half_width=0.03)]), references)
    board = html[html.index('<table class="board') : html.index("</table>")]
    words = " ".join("".join(Tags(board).words).split())
    for text in ("model-a", "50.0", "47.0–53.0", "chance", "blind", "GPT-5", "58.7", "Published: VideoSSR"):
        assert text in words
    assert "other protocol" not in words
    assert board.count('class="whisker"') >= 10


def test_a_task_nobody_answered_and_a_run_without_strips(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", n=0, tasks=["viubench_count_easy"], suite=False, skill=0.0)
    html = page(tmp_path, [run])
    assert "No sample was scored." in html
    assert "no parsed answer" in html
    assert data_of(html)["samples"] == []
    html = page(tmp_path, [write_run(tmp_path / "b", n=3, measured=True)])
    assert data_of(html)["strips"] == []
    assert all(sample["strip"] is None for sample in data_of(html)["samples"])


def test_only_baselines_and_no_run_at_all(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", model="random", engine="random", n=2, measured=True)
    assert "No model yet" in page(tmp_path, [run])
    with pytest.raises(ViubenchError, match="no run"):
        write([], tmp_path / "x.html", [])


def test_the_browser_keeps_shown_samples_and_failures(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", n=40, strips=3, tasks=["viubench_ground_mirror"], suite=False)
    b = write_run(tmp_path / "b", model="blind", engine="blind", n=40, tasks=["viubench_ground_mirror"], suite=False)
    found = browser([load(a), load(b)], ["a", "b"], per_task=4)
    assert found["total"] == 40
    assert sum(sample["strip"] is not None for sample in found["samples"]) == 3
    assert len(found["strips"]) == 3
    statuses_seen = {answer["status"] for sample in found["samples"] for answer in sample["answers"]}
    assert statuses_seen - {"ok"}
    assert all([answer["model"] for answer in sample["answers"]] == [0, 1] for sample in found["samples"])
    assert len(found["samples"]) <= 8


def test_another_target_is_another_sample(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", n=1, tasks=["viubench_count_easy"], suite=False)
    b = write_run(tmp_path / "b", n=1, tasks=["viubench_count_easy"], suite=False, changes={"target": [9, 9, 9]})
    found = browser([load(a), load(b)], ["a", "b"], per_task=4)
    assert [len(sample["answers"]) for sample in found["samples"]] == [1, 1]


def test_other_frames_are_pointed_at(tmp_path: Path) -> None:
    frames = FrameInfo(indices=[0, 1], times=[0.0, 1.0], height=2, width=2, hash="another")
    a = write_run(tmp_path / "a", n=1, tasks=["viubench_count_easy"], suite=False)
    b = write_run(tmp_path / "b", n=1, tasks=["viubench_count_easy"], suite=False, changes={"frames": frames})
    answers = browser([load(a), load(b)], ["a", "b"], per_task=4)["samples"][0]["answers"]
    assert [answer["otherFrames"] for answer in answers] == [False, True]


def test_intervals_lie_under_their_frames() -> None:
    times = (0.0, 10.0, 30.0)
    assert [place(t, times) for t in (0, 10, 30)] == [16.67, 50.0, 83.33]
    assert place(20, times) == pytest.approx(66.67, abs=0.01)
    assert (place(-100, times), place(1e9, times)) == (0.0, 100.0)
    bars = [place(t, times) for t in (-9, -4, 0, 3, 11, 29, 31, 99)]
    assert bars == sorted(bars)


def test_axis_without_frames_is_long_enough() -> None:
    assert place(8.0, axis(None, [(2.0, 8.0)])) == 75.0
    assert place(0.0, axis(None, [])) == 25.0
    several = FrameInfo(indices=[0, 1, 0, 1], times=[0.0, 1.0, 0.0, 1.0], height=2, width=2, hash="", videos=2)
    assert axis(several, [(0.0, 4.0)]) == (0.0, 4.0)
    assert (moments(several), clips(several)) == ([0.0, 1.0, 0.0, 1.0], [1, 1, 2, 2])
    assert captions(several) == ["1 · 0.0", "1 · 1.0", "2 · 0.0", "2 · 1.0"]


def test_spans_read_one_window_or_several_and_never_junk() -> None:
    assert spans([1, 2.5]) == [(1.0, 2.5)]
    assert spans([[1, 2], [3, 4]]) == [(1.0, 2.0), (3.0, 4.0)]
    for junk in (None, "1-2", [1, 2, 3], [["a", "b"]], {"start": 1}, [[1, float("nan")]], []):
        assert spans(junk) == []


def test_only_small_jpegs_of_the_run_are_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", n=1, strips=1, tasks=["viubench_count_easy"], suite=False)
    record = next(iter(read_records(run)))
    strip = filmstrip.strip_path(run, record.id)
    assert strip_of(run, record.id) == strip.read_bytes()
    outside = tmp_path / "outside.jpg"
    shutil.move(strip, outside)
    assert strip_of(run, record.id) is None
    strip.symlink_to(outside)
    assert strip_of(run, record.id) is None
    strip.unlink()
    strip.write_bytes(b"<svg onload=alert(1)>")
    assert strip_of(run, record.id) is None
    strip.write_bytes(b"\xff\xd8\xff" + bytes(MOST_BYTES))
    assert strip_of(run, record.id) is None


def test_heat_runs_from_chance_to_the_ceiling() -> None:
    assert [heat(v, 0.25) for v in (0.0, 0.25, 0.625, 1.0)] == [0, 0, 4, 9]
    assert heat(1.0, 1.0) == 9
    assert heat(0.5, None) == 4


def test_charts_stay_inside_their_box() -> None:
    numbers = [float(x) for x in re.findall(r'x[12]="([-0-9.]+)"', whisker(1.2, -0.5, 2.0, 0.5))]
    assert min(numbers) >= 0
    assert max(numbers) <= 64
    assert "s-refused" in stack({"ok": 3, "refused": 1})
    assert "rect" not in stack({})


def test_strict_stands_beside_as_published(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", tasks=["viubench_count_easy"], suite=False, skill=0.5)
    html = render(load_runs([run]), [])
    table = html[html.index('<details class="task"') :]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table[: table.index("</table>")], re.DOTALL)
    assert [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells[:6]] == [
        "50.0",
        "47.0–53.0",
        "51.0",
        "43.8",
        "20",
        "7",
    ]


@pytest.mark.parametrize(
    ("response", "read", "marked"),
    [
        ("The answer is B.", "B", "B"),
        ("😀 The answer is B.", "B", "B"),
        ("The answer is B. " + "x" * 90, "B", "B"),
        ("x" * 90 + " So it is C.", "C", "C"),
        ("x" * 50 + " B " + "x" * 50, "B", None),
    ],
)
def test_the_words_an_answer_was_read_from_are_marked(response: str, read: str, marked: str | None) -> None:
    at = response.index(read)
    record = Record(task="t", id="a", cluster="v", status="ok", response=response, span=(at, at + 1))
    place = read_at(record, 60).get("read")
    shown = shorten(response, 60).encode("utf-16-le")
    assert (shown[2 * place[0] : 2 * place[1]].decode("utf-16-le") if place else None) == marked
    assert read_at(record.model_copy(update={"span": None}), 60) == {}
