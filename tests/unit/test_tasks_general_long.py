"""The general and the long video benchmarks on their example rows: what is read, and what their traps are worth."""

from __future__ import annotations

import shutil
from pathlib import Path
from string import ascii_uppercase

import pytest
from example_rows import CATALOGUE, EXAMPLES, content, copied, samples_of, score, touch

import evaluators
from evaluators.plugins import registered
from viubench.datasets import loader
from viubench.datasets.adapters import mvbench
from viubench.schema import Task

ROWS = {
    "mvbench": 25,
    "tempcompass_multi_choice": 13,
    "tempcompass_yes_no": 13,
    "tempcompass_caption_matching": 13,
    "aotbench": 16,
    "vinoground": 24,
    "videomme": 12,
    "lvbench": 13,
    "longvideobench": 12,
    "cgbench": 12,
    "mlvu": 14,
}
PUBLISHED_ROWS = {
    "mvbench": 4000,
    "tempcompass_multi_choice": 1580,
    "tempcompass_yes_no": 2453,
    "tempcompass_caption_matching": 1503,
    "aotbench": None,
    "vinoground": 2000,
    "videomme": 2700,
    "lvbench": 1549,
    "longvideobench": 1337,
    "cgbench": 3000,
    "mlvu": 2175,
}


# --- every task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_examples_are_read_and_the_published_number_is_declared(name: str) -> None:
    built = loader.read(CATALOGUE.task(name), EXAMPLES)
    assert len(built.samples) == ROWS[name]
    assert len({sample.id for sample in built.samples}) == ROWS[name], "equal rows are told apart"
    task = CATALOGUE.task(name)
    assert task.rows is not None
    assert task.rows.expected == PUBLISHED_ROWS[name]
    assert bool(built.notes) == (PUBLISHED_ROWS[name] is not None)
    assert all(set(sample.groups) == set(task.group_by) for sample in built.samples)
    assert all(sample.question.startswith("<video>\n") for sample in built.samples)


@pytest.mark.parametrize("name", ROWS)
def test_the_true_answers_score_all_and_no_constant_answer_does(name: str) -> None:
    samples = samples_of(name)
    assert score(name, samples, lambda sample: str(sample.target)) == (1.0, 0)
    assert score(name, samples, lambda sample: f"The answer is {sample.target}.") == (1.0, 0)
    for at in range(2):
        assert score(name, samples, lambda sample, at=at: sample.params["letters"][at])[0] < 0.8  # type: ignore[misc]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("junk", ["", ")", "(", "...", "A man walks past the house.", "I cannot tell from this video."])
def test_junk_is_wrong_and_counted_unparsed(name: str, junk: str) -> None:
    samples = samples_of(name)
    assert score(name, samples, lambda _: junk) == (0.0, len(samples))


@pytest.mark.parametrize("name", ROWS)
def test_a_letter_is_read_as_it_is_meant(name: str) -> None:
    """ "B, not A" is B, "I think C" is C, and a letter the item does not have is none."""
    task = CATALOGUE.task(name)
    grader = evaluators.get(task.evaluator.name, **task.evaluator.params)
    for sample in samples_of(name):
        letters = sample.params["letters"]
        first, second = letters[:2]
        assert getattr(grader.parse(f"{second}, not {first}", sample), "value", None) == second
        assert getattr(grader.parse(f"I think {letters[-1]}", sample), "value", None) == letters[-1]
        if letters[0] == "A":
            beyond = ascii_uppercase[len(letters)]
            assert getattr(grader.parse(f"{beyond}.", sample), "value", None) is None


@pytest.mark.parametrize("name", ROWS)
def test_an_option_given_as_text_counts_where_it_is_the_only_one(name: str) -> None:
    task = CATALOGUE.task(name)
    grader = evaluators.get(task.evaluator.name, **task.evaluator.params)
    for sample in samples_of(name):
        text = sample.options[sample.params["letters"].index(sample.target)]
        said = grader.parse(text, sample)
        if len(text) == 1:  # a text that is itself a letter of the item is read as that letter
            continue
        alone = sum(text.casefold() == other.casefold() for other in sample.options) == 1
        assert getattr(said, "value", None) == (sample.target if alone else None), sample.id


@pytest.mark.parametrize(
    ("name", "group", "wanted"),
    [
        ("mvbench", "task", set(mvbench.SOURCES)),
        ("aotbench", "file", {"ReverseFilm", "UCF101", "Rtime_t2v", "Rtime_v2t", "AoTBench_QA"}),
        ("aotbench", "part", {"sequence direction", "caption matching", "time-sensitive questions"}),
        ("tempcompass_yes_no", "dim", {"action", "direction", "speed", "order", "attribute_change"}),
        ("vinoground", "question", {"text", "video"}),
        ("vinoground", "minor", {"cyclical", "spatial", "contextual", "interaction"}),
        ("videomme", "duration", {"short", "medium", "long"}),
        ("longvideobench", "duration_group", {"15", "60", "600", "3600"}),
        (
            "mlvu",
            "task_type",
            {"plotQA", "findNeedle", "ego", "count", "order", "anomaly_reco", "topic_reasoning"},
        ),
    ],
)
def test_breakdowns(name: str, group: str, wanted: set[str]) -> None:
    values = [sample.groups[group] for sample in samples_of(name)]
    assert {part for value in values for part in ((value,) if isinstance(value, str) else value)} == wanted


def test_suites() -> None:
    suites = CATALOGUE.suites
    named = {task for suite in ("general", "long") for task in suites[suite].tasks}
    assert named == set(ROWS)
    assert suites["general"].average == "groups"
    grouped = [task for tasks in suites["general"].groups.values() for task in tasks]
    assert grouped == suites["general"].tasks
    assert suites["tempcompass"].tasks == suites["general"].groups["tempcompass"]


def test_mlvu_and_aotbench_weigh_their_groups_alike() -> None:
    """All of one group wrong costs its share of the groups, however many items it has."""
    for name, group, wrong in (("mlvu", "task_type", "ego"), ("aotbench", "file", "AoTBench_QA")):
        samples = samples_of(name)
        groups = len({sample.groups[group] for sample in samples})
        value, _ = score(name, samples, lambda s, g=group, w=wrong: "" if s.groups[g] == w else s.target)  # type: ignore[misc]
        assert value == pytest.approx(1 - 1 / groups)


# --- other traps ----------------------------------------------------------------------------------------------


def test_equal_rows_are_both_counted() -> None:
    for name, expected in (("tempcompass_yes_no", 2), ("cgbench", 2), ("mvbench", 2), ("longvideobench", 2)):
        samples = samples_of(name)
        twice = [s for s in samples if sum(content(s) == content(o) and s.clips == o.clips for o in samples) > 1]
        assert len(twice) == expected, name


def test_tempcompass_letters_are_the_items_own() -> None:
    assert {len(sample.options) for sample in samples_of("tempcompass_multi_choice")} == {3, 4}
    captions = samples_of("tempcompass_caption_matching")
    assert {tuple(sample.params["letters"]) for sample in captions} == {("1", "2"), ("A", "B")}
    assert all(sample.params["letters"] == ["yes", "no"] for sample in samples_of("tempcompass_yes_no"))


def test_tempcompass_marks_are_read_as_they_are_printed() -> None:
    grader = evaluators.get("choice")
    captions = samples_of("tempcompass_caption_matching")
    one, two = captions[0], captions[2]
    assert one.target == "2"
    for said in ("Option 2: The kite drifts rightwards.", "Option 2", "2", "The kite drifts rightwards."):
        assert getattr(grader.parse(said, one), "value", None) == "2", said
    for said in ("Sentence A: A woman is waving a flag.", "Sentence A", "A.", "A woman is waving a flag."):
        assert getattr(grader.parse(said, two), "value", None) == "A", said


def test_tempcompass_clips_of_one_source_are_one_cluster() -> None:
    clusters = {s.clips[0].path: s.cluster for s in samples_of("tempcompass_multi_choice")}
    assert clusters["videos/900001.mp4"] == clusters["videos/900001_reverse.mp4"] == "900001"


def test_videomme_finds_other_suffixes(tmp_path: Path) -> None:
    data = copied("videomme", tmp_path)
    touch(data / "data/AbC_123-xyz.mkv")
    paths = [sample.clips[0].path for sample in samples_of("videomme", tmp_path)]
    assert paths[0] == "data/AbC_123-xyz.mkv"
    assert paths[3] == "data/-deF_456_q0.mp4"


def test_cgbench_offers_five_to_eight_options_and_no_letter_beyond() -> None:
    samples = samples_of("cgbench")
    assert {len(sample.options) for sample in samples} == {5, 6, 7, 8}
    value, unparsed = score("cgbench", samples, lambda _: "I would say so.")
    assert (value, unparsed) == (0, len(samples)), "the pronoun is no ninth option"


def test_aotbench_folder_below_data(tmp_path: Path) -> None:
    """The repository keeps everything in data/; the data set may too."""
    shutil.copytree(EXAMPLES / "aotbench", tmp_path / "aotbench" / "data")
    touch(tmp_path / "aotbench/data/videos/qa/inv_0.mp4")
    found = samples_of("aotbench", tmp_path)
    assert [content(sample) for sample in found] == [content(sample) for sample in samples_of("aotbench")]
    assert found[0].clips[0].path == "data/videos/qa/inv_0.mp4"


def test_every_task_says_where_it_is_from_and_which_published_rules_apply() -> None:
    for name in ROWS:
        task: Task = CATALOGUE.task(name)
        assert task.dataset_path
        assert task.metadata.paper
        assert task.metadata.source
        assert task.metadata.license
        assert task.alternatives
        assert set(task.alternatives) <= set(registered("viubench.rules"))
