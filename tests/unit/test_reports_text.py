from __future__ import annotations

import json
import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from reports.html.escape import clean, embed_json, isolate, shorten, show

json_data = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.text())
def test_clean_text_holds_nothing_that_acts(text: str) -> None:
    kept = {"\n", "\t", "\u200c", "\u200d"}
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not [c for c in clean(text) if unicodedata.category(c) in bad and c not in kept]
    assert clean(clean(text)) == clean(text)


def test_what_is_hidden_becomes_visible() -> None:
    assert clean("\x1b[31mred\x00\x7f") == "␛[31mred␀␡"
    assert clean("a\u202eb\ufeff\x9b") == "a‹U+202E›b‹U+FEFF›‹U+009B›"
    assert clean("one\r\ntwo\rthree") == "one\ntwo␍three"
    assert clean("naïve 動画 👩\u200d👧") == "naïve 動画 👩\u200d👧"


def test_words_from_right_to_left_are_apart_from_what_follows() -> None:
    one, two = "\u05de\u05d5\u05d3\u05dc", "\u0646\u0645\u0648\u0630\u062c"
    assert isolate(f"{one}, 27.8 %") == f"\u2068{one}\u2069, 27.8 %"
    assert (
        isolate(f"org/{one}-8b: {two} and {one}.")
        == f"\u2068org/{one}-8b\u2069: \u2068{two}\u2069 and \u2068{one}\u2069."
    )
    assert isolate(f"{one} {two}") == f"\u2068{one} {two}\u2069", "one text, not two"
    assert isolate("naïve 動画, 27.8 %") == "naïve 動画, 27.8 %"


@given(st.text(st.sampled_from("a1-. ,(\u05d0\u0627\u05b8\n")))
def test_isolates_are_paired_and_hold_all_such_letters(text: str) -> None:
    shown = isolate(text)
    assert shown.replace("\u2068", "").replace("\u2069", "") == text
    outside = re.sub("\u2068[^\u2068\u2069]*\u2069", "", shown)
    assert not set("\u2068\u2069\u05d0\u0627\u05b8") & set(outside)


@given(json_data)
def test_embedded_json_cannot_end_its_block_and_reads_back(value: object) -> None:
    text = embed_json({"value": value, "</script><!--": "&\u2028"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["</script><!--"] == "&‹U+2028›"


def test_a_long_text_keeps_both_ends_and_says_what_is_gone() -> None:
    text = shorten("a" * 500_000 + "b" * 500_000, 4_000)
    assert text.startswith("a" * 2_000 + "\n")
    assert text.endswith("\n" + "b" * 2_000)
    assert "996,000 of 1,000,000 characters cut" in text
    assert shorten("abcd", 4) == "abcd"


def test_show_writes_values_as_a_reader_does() -> None:
    assert show([3.0, 9.5]) == "3, 9.5"
    assert show({"circles": 2, "squares": 0}) == "circles 2, squares 0"
    assert show([[1.0, 2.0], [3.0, 4.0]]) == "[[1.0,2.0],[3.0,4.0]]"
    assert show(None) == "–"
    assert show("B") == "B"
    assert show([[float("nan")]]) == "[[null]]"
