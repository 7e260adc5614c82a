"""Answers in fifteen languages are read as a careful person would, and a wrong reading is worse than none."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.reading.language import languages, spoken
from evaluators.reading.numerals import number
from evaluators.reading.text import HEAD, TAIL, prepare
from tests.answer_cases import WRITTEN, answer_of, cases, verdict
from tests.answer_grammar import generated

CASES = list(cases(WRITTEN))
LANGUAGES = ("en", "zh", "ja", "ko", "es", "pt", "de", "fr", "it", "ru", "vi", "tr", "ar", "hi", "th")
KINDS = ("choice", "interval", "counts", "order")


def test_the_cases_cover_every_kind_and_language() -> None:
    assert len(CASES) >= 1300
    assert {case["kind"] for case in CASES} == set(KINDS)
    assert {case["language"] for case in CASES} == set(LANGUAGES)


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_read_wrongly_and_few_stay_unread(kind: str) -> None:
    of_kind = [case for case in CASES if case["kind"] == kind]
    read: dict[str, list[dict[str, Any]]] = {"right": [], "unread": [], "wrong": []}
    for case in of_kind:
        read[verdict(case)].append(case)
    assert not read["wrong"]
    assert len(read["right"]) >= 0.95 * len(of_kind), read["unread"]


def test_answers_of_known_meaning_are_never_read_wrongly() -> None:
    verdicts = Counter(verdict(case) for case in islice(generated(seed=7), 600))
    assert verdicts["wrong"] == 0
    assert verdicts["unread"] <= 0.03 * 600


def test_the_span_holds_what_was_read() -> None:
    case = {"kind": "choice", "options": ["a red ball", "a blue box"], "text": "It's **A**. Wait, no: `B`, I think."}
    answer = answer_of(case)
    assert answer is not None
    assert case["text"][slice(*answer.span)] == "B"


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    filler = "The man walks on. " * 3000
    for text in (f"The answer is B. {filler}", f"{filler} The answer is B."):
        answer = answer_of({"kind": "choice", "options": ["a red ball", "a blue box"], "text": text})
        assert answer is not None
        assert text[slice(*answer.span)] == "B"
        assert len(prepare(text).text) == HEAD + TAIL + 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("B", ["English"]),
        ("The answer is B, not A.", ["English"]),
        ("La respuesta no es A, sino B.", ["Spanish"]),
        ("A resposta não é A, mas sim B.", ["Portuguese"]),
        ("Die Antwort ist B.", ["German"]),
        ("La réponse est B.", ["French"]),
        ("正解はBです。", ["Japanese"]),
        ("정답은 B입니다.", ["Korean"]),
        ("答案是B", ["Japanese", "Chinese"]),
        ("La risposta non è A, ma B.", ["Italian"]),
        ("Đáp án không phải là A mà là B.", ["Vietnamese"]),
        ("Doğru cevap A değil, B.", ["Turkish"]),
        ("Это не A, а B.", ["Russian"]),
        ("الإجابة هي B", ["Arabic"]),
        ("सही उत्तर B है।", ["Hindi"]),
        ("คำตอบคือ B", ["Thai"]),
        ("Final answer: 选B", ["Japanese", "Chinese", "English"]),
    ],
)
def test_the_language_is_told_by_script_and_words(text: str, names: list[str]) -> None:
    assert [language.name for language in spoken(text)] == names


@given(st.integers(0, 20))
def test_numbers_in_words(value: int) -> None:
    for language in languages():
        words = str(language.data["numerals"]).split()
        if value < len(words) and words[value] != "-":  # left out: a common word of another language, as "due"
            assert number(words[value]) == value


@pytest.mark.parametrize("language", languages(), ids=lambda language: language.name)
def test_every_language_says_all_that_is_asked_of_it(language: Any) -> None:
    for kind in (
        "declare",
        "declared",
        "reject",
        "rejected",
        "correct",
        "suppose",
        "hedge",
        "consider",
        "total",
        "part",
    ):
        assert language.phrases[kind], kind
    for name in ("fillers", "or", "yes", "no", "clips", "then", "numerals"):
        assert language.words(name), name
