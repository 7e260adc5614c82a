"""Which question an answer belongs to: never another one, whatever a file's numbers mean and however it asks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from example_rows import CATALOGUE, samples_of
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_files import imported, lines, own_id
from openpyxl import Workbook

import evaluators
import viubench
from viubench.imports.answers import FileAnswer
from viubench.imports.matching import Decision, Matcher
from viubench.imports.questions import QuestionIndex
from viubench.schema import Sample

SAMPLES = samples_of("videomme")


def decided(samples: Sequence[Sample], answers: Sequence[FileAnswer], task: str = "") -> list[Decision]:
    spec = CATALOGUE.task(samples[0].task).evaluator
    graders = {samples[0].task: evaluators.get(spec.name, **spec.params)}
    matcher = Matcher(samples, graders, QuestionIndex([sample.question for sample in samples]))
    for answer in answers:
        matcher.note(answer, task)
    return matcher.decide()


def bare(sample: Sample) -> str:
    """The question without what our prompt puts around it."""
    return sample.question.removeprefix("<video>\n").partition("\nReply with")[0]


@pytest.mark.parametrize(
    "task", ["videomme", "cgbench", "longvideobench", "lvbench", "qvhighlights", "activitynet_captions", "vcrbench"]
)
@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32),
    start=st.sampled_from(["", "Watch closely. ", "Question: "]),
    known=st.sampled_from("iqtr"),
)
def test_an_answer_is_never_given_to_another_question(task: str, seed: int, start: str, known: str) -> None:
    """In any order, with a prompt of its own around the question, and numbers that count something else."""
    samples = samples_of(task)
    order = list(range(len(samples)))
    random.Random(seed).shuffle(order)
    answers = [
        FileAnswer(
            f"row {row}",
            ("A",),
            ids=(own_id(samples[place]),) if known == "i" else (str(row),),
            row=row,
            question=f"{start}{bare(samples[place])}\nAnswer briefly." if known in "qt" else "",
            target=samples[place].answer_text if known in "ti" else "",
        )
        for row, place in enumerate(order)
    ]
    for decision, place in zip(decided(samples, answers), order, strict=True):
        if known == "i":
            assert decision.sample == place
        elif known in "qt":
            assert decision.sample in (place, -1)


def test_most_questions_are_found_by_their_words() -> None:
    for task in ("videomme", "cgbench", "lvbench", "qvhighlights"):
        samples = samples_of(task)
        answers = [FileAnswer("", ("A",), question=f"Look. {bare(s)}", target=s.answer_text) for s in samples]
        found = decided(samples, answers)
        assert sum(one.sample == place for place, one in enumerate(found)) >= 0.8 * len(samples), task


def test_numbers_that_count_something_else_are_given_up() -> None:
    """Rows of another order, of which the true answers happen to fit now and then."""
    shifted = [FileAnswer("", ("A",), row=n, target=s.target) for n, s in enumerate([*SAMPLES[3:], *SAMPLES[:3]])]
    assert all(one.sample < 0 for one in decided(SAMPLES, shifted))
    right = [FileAnswer("", ("A",), row=n, target=s.target) for n, s in enumerate(SAMPLES)]
    assert [one.sample for one in decided(SAMPLES, right)] == list(range(len(SAMPLES)))
    alone = decided(SAMPLES, [FileAnswer("", ("A",), row=2)])
    assert [(one.sample, one.key, one.confirmed) for one in alone] == [(2, "row", False)]


def test_a_row_counts_within_its_part_of_the_benchmark() -> None:
    samples = samples_of("mvbench")
    part = [place for place, sample in enumerate(samples) if sample.groups["task"] == "action_antonym"]
    answers = [FileAnswer("", ("A",), row=n, target=samples[place].target) for n, place in enumerate(part)]
    found = decided(samples, answers, task="mvbench_action_antonym")
    assert [(one.sample, one.key) for one in found] == [(place, "subset and row") for place in part]


def test_another_order_of_the_options_is_no_match() -> None:
    """A letter means another option there."""
    sample = SAMPLES[0]
    other = "ABCD"[("ABCD".index(sample.target) + 1) % 4]
    (found,) = decided(SAMPLES, [FileAnswer("", ("A",), ids=(own_id(sample),), question=bare(sample), target=other)])
    assert found.sample < 0
    assert "true answer" in found.reason


def test_questions_that_are_alike_are_told_apart_by_video_or_true_answer_or_left_out() -> None:
    twins = [replace(s, id=f"videomme-{n}", target="AB"[n]) for n, s in enumerate([SAMPLES[0]] * 2)]
    samples = [*twins, *SAMPLES[1:]]
    by_truth = decided(samples, [FileAnswer("", ("A",), question=bare(twins[0]), target=letter) for letter in "AB"])
    assert [one.sample for one in by_truth] == [0, 1]
    (unknown,) = decided(samples, [FileAnswer("", ("A",), question=bare(twins[0]))])
    assert (unknown.sample, unknown.reason) == (-1, "2 questions are alike")


def test_a_vlmevalkit_table_scores_by_the_named_rule_as_in_the_file(tmp_path: Path) -> None:
    """The first capital of A to D, whatever stands around it; a table that is sorted otherwise, with an index."""
    texts = ("A", "Best guess: C", "(B) x", "answer d", "I think it is D", "About B")
    book, order = Workbook(), sorted(range(len(SAMPLES)), key=lambda place: own_id(SAMPLES[place])[::-1])
    book.active.append(["index", "video", "question", "candidates", "answer", "prediction", "score"])  # type: ignore[union-attr]
    for row, place in enumerate(order):
        sample, text = SAMPLES[place], texts[place % 6]
        letter = next((char for char in text if char in "ABCD"), "")
        score = float(letter == sample.target) if letter else -1
        stem, *options = bare(sample).split("\n")
        book.active.append([row, sample.cluster, stem, str(options), sample.target, text, score])  # type: ignore[union-attr]
    book.save(tmp_path / "model_Video-MME.xlsx")
    run = imported(tmp_path, [tmp_path / "model_Video-MME.xlsx"])
    told = run.manifest.imported
    assert told is not None
    assert (sum(told.matching.matched.values()), told.files[0].format) == (len(SAMPLES), "vlmevalkit")
    found = viubench.explain_difference(run, "official/videomme")
    assert found.means["videomme"]["rule"] == found.means["videomme"]["file"] != found.means["videomme"]["strict"]
    assert not [one for one in found.samples if "the file scores" in one.reason]


def test_several_answers_to_a_question_are_kept(tmp_path: Path) -> None:
    rows = [{"id": own_id(sample), "response": text, "epoch": n} for sample in SAMPLES for n, text in enumerate("AB")]
    run = imported(tmp_path, [lines(tmp_path / "said.jsonl", rows)])
    assert run.results.tasks["videomme"].samples == 2
    right = sum(sample.target in "AB" for sample in SAMPLES)
    assert run.results.tasks["videomme"].value == pytest.approx(right / 2 / len(SAMPLES), abs=1e-6)
