"""Published wording: what lmms-eval's own functions say of the same row, and a clear sentence where there is none."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from viubench.datasets import published_prompts, row_files
from viubench.errors import ViubenchError
from viubench.schema import EvaluatorSpec, Prompt, Published, Task
from viubench.tasks import templating
from viubench.tasks.registry import BUILT_IN, Catalogue

pytest.importorskip("lmms_eval")
pytestmark = pytest.mark.xdist_group("lmms_eval")

CATALOGUE = Catalogue()
EXAMPLES = BUILT_IN / "examples"
WORDED = sorted(name for name in CATALOGUE.task_files if CATALOGUE.task(name).prompt.published.lmms)
ROW = {"question": "Which way?", "options": ["A. left", "B. right"], "candidates": ["left", "right"], "video": "a.mp4"}


def task(**where: Any) -> Task:
    spec = EvaluatorSpec(name="choice")
    asked = Prompt(published=Published(**where))
    return Task(task="t", domain="d", question="{{ question }}", evaluator=spec, metric="m", protocol="p", prompt=asked)


@pytest.mark.parametrize(
    ("where", "function", "doc", "known"),
    [
        (
            {"lmms": "videomme"},
            "videomme.utils:videomme_doc_to_text",
            ROW,
            {"post_prompt": "\nAnswer with the option's letter from the given choices directly."},
        ),
        (
            {"lmms": "mvbench_{{ 'action_antonym' }}"},
            "mvbench.utils:mvbench_doc_to_text",
            ROW,
            {"post_prompt": "Only give the best option.\n"},
        ),
        (
            {"lmms": "mlvu_dev", "variant": "plm", "doc": {"question": "{{ question }} {{ options | join(' ') }}"}},
            "mlvu.utils:mlvu_doc_to_text",
            {"question": "Which way? A. left B. right"},
            {"post_prompt": "\nOnly give the best option."},
        ),
    ],
)
def test_the_wording_is_that_of_lmms_evals_own_function(
    where: dict[str, Any], function: str, doc: dict[str, Any], known: dict[str, str]
) -> None:
    module, name = function.split(":")
    theirs = getattr(import_module(f"lmms_eval.tasks.{module}"), name)(doc, known)
    assert published_prompts.prompt(task(**where), ROW, 2) == "<video><video>" + theirs
    assert published_prompts.prompt(task(**where), ROW, 0) == theirs


@pytest.mark.parametrize("name", WORDED)
def test_every_task_of_the_catalogue_is_worded_from_its_own_rows(name: str) -> None:
    ours = CATALOGUE.task(name)
    rows = list(row_files.rows(ours, row_files.data_folder(ours, EXAMPLES)))
    wordings = [published_prompts.prompt(ours, row) for row in rows]
    assert len(set(wordings)) >= len(rows) // 2
    for row, wording in zip(rows, wordings, strict=True):
        assert wording.startswith("<video>")
        stem = templating.text(ours.question, row).strip().splitlines()[0]
        assert stem[:20] in wording or row.get("goal", "-") in wording


def test_the_data_may_bring_its_own_wording() -> None:
    assert published_prompts.prompt(task(row="{{ question }} Say A or B."), ROW) == "<video>Which way? Say A or B."


@pytest.mark.parametrize(
    ("where", "sentence", "hint"),
    [
        ({"none": "its authors gave none"}, "t has no published prompt: its authors gave none", "default prompt"),
        ({}, "t has no published prompt", "default prompt"),
        ({"lmms": "videome"}, "no task 'videome'", "'videomme'"),
        ({"lmms": "videomme", "variant": "qwen9"}, "no prompt 'qwen9'", "default, gpt4v"),
        ({"lmms": "cgbench"}, "cannot make a prompt from a row of t: KeyError: 'choices'", "the row has: candidates"),
        ({"lmms": "videomme", "doc": {"question": "{{ qestion }}"}}, "'qestion' is undefined", "'question'"),
    ],
)
def test_what_cannot_be_worded_says_why(where: dict[str, Any], sentence: str, hint: str) -> None:
    with pytest.raises(ViubenchError) as raised:
        published_prompts.prompt(task(**where), ROW)
    assert sentence in raised.value.message
    assert hint in (raised.value.hint or "")


def test_without_lmms_eval_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_prompts, "find_spec", lambda name: None)
    published_prompts._yaml_files.cache_clear()
    with pytest.raises(ViubenchError) as raised:
        published_prompts.prompt(task(lmms="timescope"), ROW)
    published_prompts._yaml_files.cache_clear()
    assert "pip install 'viubench[lmms]'" in (raised.value.hint or "")
