"""Score against difficulty, and by how much counts are wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from paired_runs import Row, write
from report_runs import table_of, write_run

from reports.data.runs import load
from reports.pages.leaderboard_page import render
from reports.sections import difficulty
from reports.sections.count_errors import count_errors
from reports.sections.frames import first_frames
from viubench.schema import FrameInfo, Record


def counting(answer: object, target: object = (3, 1, 4), status: str = "ok") -> Record:
    return Record.model_validate(
        {"task": "t", "id": "1", "cluster": "v", "status": status, "answer": answer, "target": list(target)}  # type: ignore[call-overload]
    )


def test_a_curve_falls_where_the_task_is_harder(tmp_path: Path) -> None:
    rows = [
        Row(f"{n:03d}", float(n % 5 < 4 - level), f"video {n % 7}", groups={"segments": str(level), "kind": "a"})
        for level in (1, 2, 3)
        for n in range(level * 100, level * 100 + 40)
    ]
    run = load(write(tmp_path / "a", {"t": rows}))
    (figure,) = difficulty.figures([run], ["m"], "t")
    assert figure.title == "by segments"
    assert figure.heads == ("segments", "samples", "m")
    assert [row[:2] for row in figure.rows] == [("1", "40"), ("2", "40"), ("3", "40")]
    assert [row[2].split()[0] for row in figure.rows] == ["60.0", "40.0", "20.0"]
    assert figure.plot.count('class="area first"') == 1
    assert "chance 25.0" in figure.plot


def test_many_values_become_parts_of_about_equal_size(tmp_path: Path) -> None:
    run = load(write_run(tmp_path / "a", tasks=["viubench_ground_mirror", "viubench_jigsaw_easy"], suite=False, n=60))
    places = {figure.title for figure in difficulty.figures([run], ["m"], "viubench_jigsaw_easy")}
    assert places == {"by clips out of place"}  # always six clips, always as many frames
    values = pd.Series({str(n): n / 7 for n in range(100)} | {"junk": 1e6})
    parts = difficulty.split(values)
    assert [len(part.ids) for part in parts] == [16, 17, 17, 17, 17, 17]
    assert difficulty.split(pd.Series({"a": 1.0, "b": 2.0})) == []


@pytest.mark.parametrize("text", ["", "nan", "inf", "1e400", "long", "12345678901234"])
def test_only_plain_numbers_are_a_measure(text: str) -> None:
    assert difficulty._number(text) is None


def test_count_errors_in_words_and_bars() -> None:
    found = count_errors(table_of([counting([3, 0, 4]), counting([9, 1, 4]), counting(None, status="unparsed")]))
    assert found is not None
    assert found[0] == {-1: 1, 0: 4, 6: 1}
    assert found[1] == "exact 67 %, too few 17 %, too many 17 %; off by 1.2 on average"
    assert count_errors(table_of([counting("many"), counting([1, 2])])) is None


def test_clips_are_found_in_the_strip() -> None:
    def frames(times: list[float], videos: int) -> FrameInfo:
        return FrameInfo(indices=[0] * len(times), times=times, height=2, width=2, hash="", videos=videos)

    assert first_frames(frames([0.0, 1.0] * 3, 3)) == [0, 2, 4]
    assert first_frames(frames([0.0, 1.0, 2.0], 1)) == []
    assert first_frames(frames([0.0] * 30, 30)) == []  # twelve frames do not hold thirty clips


def test_the_page_has_them(tmp_path: Path) -> None:
    html = render([load(write_run(tmp_path / "a", n=60))], [])
    assert "by shapes to count" in html
    assert "Count errors" in html


def test_a_hostile_group_stays_text(tmp_path: Path) -> None:
    hostile = "<svg onload=alert(1)>\u202e\x1b[31m"
    rows = [Row(f"{n:03d}", 1.0, f"video {n}", groups={hostile: str(n % 3)}) for n in range(30)]
    html = render([load(write(tmp_path / "a", {"t": rows}, model=hostile))], [])
    assert "by &lt;svg onload=alert(1)&gt;‹U+202E›␛[31m" in html
    assert "<svg onload" not in html
    assert "\u202e" not in html
