"""Validation errors in plain words: no term of the loader reaches a user, whatever is wrong in whichever file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from trainer.config import TrainConfig
from viubench.errors import ViubenchError
from viubench.runner.config import EvalConfig
from viubench.runner.protocols import protocol_of
from viubench.schema import GateConfig, Manifest, PretextSpec, Protocol, Results, Strict, Suite, Task
from viubench.schema.wording import first_in_words, in_words
from viubench.storage import strict_yaml
from viubench.tasks.registry import Catalogue


class OnlyPretext(Strict):
    pretext: PretextSpec | None = None


TERMS = re.compile(
    r"\b[Ii]nput\b|valid (tuple|dict|string|integer|number|list|bool)|tuple|dictionary|pydantic|instance"
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("data", "place", "said"),
    [
        ({"resize": {"fixed": 448}}, "resize.fixed", "must be a list of two whole numbers or null"),
        ({"resize": {"fixed": [448]}}, "resize.fixed", "must be a list of two whole numbers or null"),
        ({"resize": {"fixed": [448, "x"]}}, "resize.fixed.1", "must be a whole number, at least 1"),
        ({"decoding": {"stop": "x"}}, "decoding.stop", "must be a list of texts"),
        ({"decoding": 5}, "decoding", "must be a mapping"),
        ({"sampling": {"kind": "odd"}}, "sampling.kind", "must be one of even, fps, qwen, indices, times"),
        ({"subtitles": "maybe"}, "subtitles", "must be true or false or interleaved"),
        ({"decoding": {"topp": 1}}, "decoding.topp", "is an unknown key"),
    ],
)
def test_a_fault_names_the_field_and_what_it_may_hold(data: dict[str, Any], place: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Protocol.model_validate({"protocol": "p"} | data)
    found, words = in_words(caught.value.errors()[0], Protocol)
    assert (".".join(map(str, found)), words) == (place, said)


@pytest.mark.parametrize("model", [Protocol, Task, Suite, GateConfig, Manifest, Results, TrainConfig])
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_term_of_the_loader_is_said(model: type[BaseModel], data: st.DataObject) -> None:
    names = st.sampled_from(sorted(model.model_fields))
    given = data.draw(st.dictionaries(names, JSON, min_size=1, max_size=3))
    for error in errors_of(model, given):
        assert first_in_words(error, model)
        for fault in error.errors():
            place, said = in_words(fault, model)
            assert not TERMS.search(said), (fault, said)
            assert place[:1] == fault["loc"][:1]


def errors_of(model: type[BaseModel], given: dict[str, Any]) -> Iterator[ValidationError]:
    try:
        model.model_validate(given)
    except ValidationError as error:
        yield error


def test_a_file_and_an_option_say_it_alike(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("protocol: p\nresize:\n  fixed: 448\n")
    with pytest.raises(ViubenchError, match=r"resize\.fixed: must be a list of two whole numbers or null, not 448"):
        strict_yaml.load(path, Protocol)
    with pytest.raises(ViubenchError) as caught:
        protocol_of(EvalConfig(set={"resize.fixed": "448"}), Catalogue(), "viubench")
    assert caught.value.hint == "resize.fixed is a list of two whole numbers or null"
    path.write_text("pretext:\n  kind: grnd\n")
    with pytest.raises(ViubenchError, match=r"kind: must be one of ground, count, jigsaw, .*, not 'grnd'") as caught:
        strict_yaml.load(path, OnlyPretext)
    assert str(caught.value.where).endswith(":2:3")
