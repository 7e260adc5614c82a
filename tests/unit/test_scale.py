"""What makes a million questions cheap changes nothing: hashes, token counts, rows, baselines stay what they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluators
from tests.bench import scale
from viubench.datasets import pretext_items, row_files
from viubench.engines.token_counts import Counter, Shown
from viubench.pretext.generate import sample_of
from viubench.runner.planning import samples_hash
from viubench.schema import Chat, Clip, GroundItem, Item, Sample
from viubench.scoring import baselines
from viubench.storage.run_dir import read_records, read_results
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

ITEM = Item(
    id="viubench_ground_mirror-1", task="viubench_ground_mirror", video="a.mp4", cluster="a", seed=7,
    question="<video> when?", answer="1.0-2.0",
    params=GroundItem(
        content="c", frames=4, indices=(0, 5, 10, 15), times=(0.0, 1.0, 2.0, 3.0, 4.0), perturb="mirror",
        length=(1, 2), segment=(1, 2), strength={"axis": "x"},
    ),
)  # fmt: skip
ROW = Sample(
    id="t-1", task="t", cluster="v", clips=(Clip(path="v.mp4", start=1.5),), question="<video>\nWhich way? é\ud800",
    target="B", answer_text="B", options=("up", "down"), params={"letters": ["A", "B"], "odd": {1, 2}},
    groups={"kind": ("x", "y")},
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("scale")
    scale.draw(24, folder)
    return folder


def test_samples_have_the_hash_that_manifests_of_old_runs_name() -> None:
    item = sample_of(ITEM, Catalogue().task(ITEM.task))
    assert samples_hash([ROW]) == "f4b462a29abf5fa6"
    assert samples_hash([item, ROW]) == samples_hash([ROW, item]) == "a0bc1a98189399a5"
    assert ROW.target_hash() == "955cca1ceba45052"


def test_the_params_of_an_item_are_those_it_was_drawn_with() -> None:
    params = sample_of(ITEM, Catalogue().task(ITEM.task)).params
    assert params == ITEM.params.model_dump(mode="json")
    assert params["segment"] == [1, 2]
    assert "letters" not in params
    assert params.get("letters", "none") == "none"
    assert Sample.from_json(sample_of(ITEM, Catalogue().task(ITEM.task)).to_json()).params == params


def test_every_stage_of_the_benchmark_does_what_it_times(drawn: Path) -> None:
    for stage in ("plan", "dry run", "score", "resume", "report"):
        scale.STAGES[stage](drawn)
    assert len({record.id for record in read_records(drawn / "run")}) == 24
    assert read_results(drawn / "run").tasks["drawn_choice"].n == 24
    assert "drawn_choice" in (drawn / "page.html").read_text()


class Rendering(Counter):
    """Renders every prompt."""

    def _prompt(self, pieces: Any, shown: Any, chat: str) -> str:
        return self._render(self._with_media(pieces, shown), chat)


@settings(max_examples=30, deadline=None)
@given(words=st.lists(st.text(" \n?ab<video>é\ue000", max_size=12), min_size=1, max_size=6))
def test_a_prompt_is_counted_as_its_chat_template_writes_it(drawn: Path, words: list[str]) -> None:
    checkpoint = {"path": str(drawn / "model"), "model_type": "qwen3_vl", "architecture": "", "size_multiple": 32}
    known, anew, video, chat = Counter(checkpoint), Rendering(checkpoint), Shown(4, 64, 64), Chat(system="Be short.")
    for text in words:
        question = f"<video>{text}"
        assert known.prompt(question, [video], chat) == anew.prompt(question, [video], chat)


def test_the_rows_of_a_lone_file_are_those_of_the_file(tmp_path: Path) -> None:
    rows = [{"id": number, "text": "é\u2028"} for number in range(5)]
    (tmp_path / "rows.jsonl").write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    task = Catalogue().task("videomme")
    spec = {"rows": {"files": ["rows.jsonl"]}}
    lone = row_files.rows(task.model_validate(task.model_dump() | spec), tmp_path)
    kept = row_files.rows(
        task.model_validate(task.model_dump() | {"rows": spec["rows"] | {"keep": "{{ id > 1 }}"}}), tmp_path
    )
    assert len(lone) == 5
    assert [row["_index"] for row in lone] == [0, 1, 2, 3, 4]
    assert list(lone)[2:] == list(kept)


@settings(max_examples=30, deadline=None)
@given(targets=st.lists(st.sampled_from("ABC"), min_size=1, max_size=12), average=st.sampled_from(["", "kind"]))
def test_the_score_of_constant_answers_is_the_mean_of_their_samples(targets: list[str], average: str) -> None:
    samples = [
        Sample(str(n), "t", f"v{n % 3}", (), "?", target, target, ("up", "down", "left"), groups={"kind": "xy"[n % 2]})
        for n, target in enumerate(targets)
    ]
    task = Catalogue().task("videomme").model_copy(update={"average": average})
    groups = [targets[place::2] for place in range(2)] if average else [targets]
    shares = [group.count("A") / len(group) for group in groups if group]
    found = baselines.of(task, samples)
    assert found.trivial["always A"] == pytest.approx(sum(shares) / len(shares), abs=1e-6)
    assert found.chance == pytest.approx(evaluators.get("choice").chance(samples[0]))


def test_the_items_of_a_video_share_their_frames(tmp_path: Path) -> None:
    whole = ITEM.params.model_copy(update={"indices": (0, 1, 2, 3), "times": (0.0, 1.0, 2.0, 3.0)})
    items = [ITEM, ITEM.model_copy(update={"id": "2"}), ITEM.model_copy(update={"params": whole})]
    (tmp_path / "items.jsonl").write_text("".join(f"{item.model_dump_json()}\n" for item in items))
    first, second, third = pretext_items.read(tmp_path, Catalogue(), FrameCache(tmp_path / "cache")).samples
    assert [one.params for one in (first, second, third)] == [item.params.model_dump(mode="json") for item in items]
    assert first.pretext is not None
    assert second.pretext is not None
    assert first.pretext.indices is second.pretext.indices
    assert third.params["indices"] == [0, 1, 2, 3]
    assert all(isinstance(frame, int) for frame in third.params["indices"])
