"""The downstream suites and published rows: nothing they name is missing, and the paper's arithmetic comes out."""

from __future__ import annotations

from statistics import fmean

import pytest

from viubench.schema import Protocol, ReferenceRow
from viubench.tasks.registry import Catalogue

DOWNSTREAM = ("general", "long", "grounding", "reasoning")
FRAMES = (32, 48, 64)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def published(catalogue: Catalogue, frames: int) -> dict[str, ReferenceRow]:
    return {row.model: row for row in catalogue.references if row.protocol == f"videossr-{frames}"}


def test_every_suite_names_tasks_that_exist_and_groups_of_them(catalogue: Catalogue) -> None:
    for name, suite in catalogue.suites.items():
        assert set(suite.tasks) <= set(catalogue.task_files), name
        assert len(set(suite.tasks)) == len(suite.tasks), name
        grouped = [task for tasks in suite.groups.values() for task in tasks]
        assert set(grouped) <= set(suite.tasks), name
        if suite.average == "groups":
            assert sorted(grouped) == sorted(suite.tasks), name
        assert suite.recipe is None or suite.recipe in catalogue.recipes, name


@pytest.mark.parametrize("name", DOWNSTREAM)
def test_a_domain_suite_holds_tasks_of_its_domain(catalogue: Catalogue, name: str) -> None:
    assert {catalogue.task(task).domain for task in catalogue.suites[name].tasks} == {name}


def test_downstream_is_seventeen_benchmarks_and_all_of_the_domains(catalogue: Catalogue) -> None:
    suite = catalogue.suites["downstream"]
    assert suite.average == "groups"
    assert len(suite.groups) == 17
    assert len(suite.groups["tempcompass"]) == 3
    assert {task for name in DOWNSTREAM for task in catalogue.suites[name].tasks} == set(suite.tasks)


def test_paper17_is_the_paper_s_sixteen_and_viubench(catalogue: Catalogue) -> None:
    suite = catalogue.suites["paper17"]
    assert suite.average == "groups"
    assert len(suite.groups) == 17
    assert suite.groups["viubench"] == catalogue.suites["viubench"].tasks
    assert suite.recipe == catalogue.suites["viubench"].recipe
    sixteen = {task for group, tasks in suite.groups.items() for task in tasks if group != "viubench"}
    for frames in FRAMES:
        for row in published(catalogue, frames).values():
            assert set(row.values) == sixteen, row.model


@pytest.mark.parametrize("frames", FRAMES)
def test_published_rows_have_known_keys_a_known_protocol_and_fractions(catalogue: Catalogue, frames: int) -> None:
    rows = published(catalogue, frames)
    assert set(rows) == {"Qwen3-VL-8B", "VideoSSR-8B"}
    for row in rows.values():
        assert row.protocol in catalogue.protocols
        assert "2511.06281" in row.source
        assert all(0 < value < 1 for value in row.values.values())
    assert all(rows["VideoSSR-8B"].values[key] > rows["Qwen3-VL-8B"].values[key] for key in rows["Qwen3-VL-8B"].values)


def test_the_stated_average_gain_is_the_mean_over_the_seventeen(catalogue: Catalogue) -> None:
    rows = published(catalogue, 48)
    own = {row.model: row.values["viubench"] for row in catalogue.references if "viubench" in row.values}
    gains = [rows["VideoSSR-8B"].values[key] - value for key, value in rows["Qwen3-VL-8B"].values.items()]
    gains.append(own["VideoSSR-8B"] - own["Qwen3-VL-8B-Instruct"])
    assert len(gains) == 17
    assert fmean(gains) == pytest.approx(0.051, abs=0.0005)


@pytest.mark.parametrize(
    ("benchmark", "items", "hits"),
    [
        ("video_mmmu", 880, {("Qwen3-VL-8B", 32): 512, ("VideoSSR-8B", 48): 528}),
        ("vcrbench", 365, {("Qwen3-VL-8B", 32): 27, ("Qwen3-VL-8B", 64): 32, ("VideoSSR-8B", 32): 39}),
        ("vinoground", 500, {("Qwen3-VL-8B", 32): 226, ("Qwen3-VL-8B", 64): 225, ("VideoSSR-8B", 32): 278}),
    ],
)
def test_published_scores_are_attainable_with_the_declared_number_of_items(
    catalogue: Catalogue, benchmark: str, items: int, hits: dict[tuple[str, int], int]
) -> None:
    for (model, frames), count in hits.items():
        value = published(catalogue, frames)[model].values[benchmark]
        assert value == pytest.approx(count / items, abs=0.00051), (model, frames)


@pytest.mark.parametrize("frames", FRAMES)
def test_the_frame_protocols_differ_in_frames_alone(catalogue: Catalogue, frames: int) -> None:
    ours, theirs = catalogue.protocols[f"fps2-{frames}"], catalogue.protocols[f"videossr-{frames}"]
    assert ours.sampling.model_dump() == theirs.sampling.model_dump()
    assert (ours.sampling.kind, ours.sampling.fps, ours.sampling.frames) == ("fps", 2, frames)
    assert (ours.resize.max_pixels, ours.resize.min_pixels, ours.resize.multiple) == (512**2, 128**2, 32)
    assert (ours.decoding.max_tokens, ours.decoding.temperature) == (128, 0)
    assert (ours.prompt, ours.frame_budget) == ("default", "per_item")
    assert (theirs.prompt, theirs.frame_budget) == ("published", "per_video")
    published = Protocol.model_validate(ours.model_dump() | {"prompt": "published"})
    assert (published.hash() == catalogue.protocols["published"].hash()) == (frames == 32)


def test_every_downstream_task_says_where_it_is_from_and_how_it_is_asked(catalogue: Catalogue) -> None:
    for name in catalogue.suites["downstream"].tasks:
        task = catalogue.task(name)
        assert task.protocol == "fps2-32", name
        assert task.metadata.source, name
        assert task.metadata.license, name
        assert task.metadata.paper, name
        assert task.description, name
        published = task.prompt.published
        assert sum(map(bool, (published.lmms, published.row, published.none))) == 1, name
