"""What a model thought is kept apart from what it answered, and thinking that was never finished is no answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.scoring.reasoning import Parts, part

TAGS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
]
WORDS = st.text(st.sampled_from("AB x.\n<>/|[]"), max_size=20)
TAG = st.sampled_from(TAGS)


@given(text=WORDS)
def test_a_response_without_marks_is_all_answer(text: str) -> None:
    assert part(text) == Parts("", text, True)


@given(tag=TAG, thought=WORDS, answer=WORDS)
def test_a_block_is_reasoning_and_what_follows_the_answer(tag: tuple[str, str], thought: str, answer: str) -> None:
    expected = Parts(thought.strip(), answer.strip(), True)
    assert part(f"{tag[0]}{thought}{tag[1]}{answer}") == expected
    assert part(f"{thought}{tag[1]}{answer}") == expected, "the prompt had opened it"
    assert part(f"{thought}{tag[1]}{answer}", prompt_end=f"user\nWhich?\nassistant\n{tag[0]}\n") == expected


@given(tag=TAG, thought=WORDS, before=WORDS)
def test_what_is_never_closed_is_not_finished(tag: tuple[str, str], thought: str, before: str) -> None:
    assert part(thought, prompt_end=tag[0] + "\n") == Parts(thought.strip(), "", False)
    parts = part(f"{before}{tag[0]}{thought}")
    assert (parts.reasoning, parts.finished) == (thought.strip(), False)


@given(texts=st.lists(st.one_of(WORDS, st.sampled_from([mark for tag in TAGS for mark in tag])), max_size=8))
def test_nothing_written_is_lost_but_the_marks(texts: list[str]) -> None:
    text = "".join(texts)
    for marks in TAGS:
        for mark in marks:
            text = text.replace(mark, "<think>" if mark == marks[0] else "</think>")
    parts = part(text)
    left = text.replace("<think>", " ").replace("</think>", " ")
    assert sorted("".join(left.split())) == sorted("".join((parts.reasoning + parts.answer).split()))


@given(apart=WORDS, answer=WORDS)
def test_an_engine_that_parts_itself_is_believed(apart: str, answer: str) -> None:
    parts = part(answer, prompt_end="<think>\n" if apart else "", apart=apart)
    assert (parts.reasoning, parts.answer) == (apart.strip(), answer)
    assert parts.finished == bool(answer.strip() or not apart.strip())


@pytest.mark.parametrize("prompt_end", ["<think>\n\n</think>\n\n", "Think in <think> </think> tags.\n", "", "a <b>"])
def test_a_prompt_that_leaves_nothing_open(prompt_end: str) -> None:
    assert part("B", prompt_end) == Parts("", "B", True)


def test_several_blocks_are_one_reasoning() -> None:
    assert part("<think>one</think>It is <think>two</think>B") == Parts("one\n\ntwo", "It is B", True)
