"""Agreement of two runs, sample by sample, and the reasons the records give where they differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_runs import table_of, write_run

from reports.data.runs import RunData, load, load_runs
from reports.pages.leaderboard_page import render, text
from reports.tables.agreement import MOST_PAIRS, agreements
from reports.tables.ranking import Pairing
from viubench.storage.run_dir import read_records

TASK = "viubench_ground_mirror"


def pair(tmp_path: Path, changes: dict[str, Any], transport: str = "") -> tuple[RunData, RunData]:
    """A run, and a copy of it whose first record is changed, as if through a server."""
    one = load(write_run(tmp_path / "one", tasks=[TASK], suite=False, n=10))
    records = list(read_records(one.path))
    first = next(k for k, record in enumerate(records) if record.response is not None and record.frames)
    records[first] = records[first].model_copy(update=changes)
    engine = one.manifest.engine | {"kind": "server", "settings": {"transport": transport}}
    return one, replace(
        one,
        path=tmp_path / "two",
        manifest=one.manifest.model_copy(update={"engine": engine}),
        results=one.results.model_copy(update={"engine": "server"}),
        samples=table_of(records),
    )


def test_a_run_agrees_with_itself(tmp_path: Path) -> None:
    (line,) = agreements(pair(tmp_path, {}), ["a", "b"])
    assert line.answers == line.prompts == line.shared > 0
    assert line.reasons == ()
    assert line.text.startswith(f"a (vllm) and b (server): {line.shared} of {line.shared} answers equal")


@pytest.mark.parametrize(
    ("changes", "transport", "reason"),
    [
        ({"response": "other", "frames": None}, "", "were shown other frames"),
        ({"response": "other", "usage": {"prompt_tokens": 7}}, "", "had prompts of other lengths"),
        ({"response": "other", "usage": {"shown_as_images": 1}}, "", "were sent as single images"),
        ({"response": "other"}, "video/jpeg-q95", "travelled as video/jpeg-q95"),
        ({"response": "other"}, "video/png", "only arithmetic differs"),
    ],
)
def test_a_difference_comes_with_its_reason(
    tmp_path: Path, changes: dict[str, Any], transport: str, reason: str
) -> None:
    (line,) = agreements(pair(tmp_path, changes, transport), ["a", "b"])
    assert line.answers == line.shared - 1
    ((said, count),) = line.reasons
    assert reason in said
    assert count == 1
    assert reason in line.text


def test_baselines_are_not_compared_and_samples_in_one_run_alone_do_not_count(tmp_path: Path) -> None:
    one, two = pair(tmp_path, {})
    blind = load(write_run(tmp_path / "blind", engine="blind", tasks=[TASK], suite=False, n=10))
    assert len(agreements([one, blind, two], ["a", "x", "b"])) == 1
    short = replace(two, samples=two.samples[:4])
    (line,) = agreements([one, short], ["a", "b"])
    assert line.shared <= 4


def test_the_page_and_the_terminal_say_it(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / engine, engine=engine, tasks=[TASK], suite=False) for engine in ("vllm", "hf")]
    assert "answers equal" in text(load_runs(runs))
    assert "Agreement, sample by sample" in render([load(path) for path in runs], [])


def test_two_models_are_not_said_to_disagree(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, model=name, tasks=[TASK], suite=False) for name in "ab"]
    assert "answers equal" not in text(load_runs(runs))


def test_of_many_runs_of_one_model_the_first_pairs_alone_are_compared(tmp_path: Path) -> None:
    one, two = pair(tmp_path, {})

    class Counted(Pairing):
        """Counts what is asked of it."""

        asked = 0

        def difference(self, *given: Any, **more: Any) -> Any:
            self.asked += 1
            return super().difference(*given, **more)

    runs = [one, *[two] * 14]
    pairing = Counted(runs)
    assert len(agreements(runs, [str(k) for k in range(15)], pairing)) == MOST_PAIRS
    assert pairing.asked <= 2 * MOST_PAIRS, "of a task, and of them together"
