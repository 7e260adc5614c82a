"""Marks of reasoning that are special tokens stay in an answer until it is parted; all other special tokens go."""

from __future__ import annotations

from typing import Any

import pytest

from viubench.engines import marks
from viubench.scoring.reasoning import part

FORMS = {
    ("<|channel>", "<channel|>"): "<|channel>thought\nIt rises.<channel|>B",
    ("[THINK]", "[/THINK]"): "[THINK]It rises.[/THINK]B",
    ("<think>", "</think>"): "<think>It rises.</think>B",
    ("◁think▷", "◁/think▷"): "◁think▷It rises.◁/think▷B",
    ("<|channel|>", "<|message|>"): "<|channel|>analysis<|message|>It rises.<|channel|>final<|message|>B",
}


@pytest.fixture(scope="module")
def tokenizer_of() -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")

    def build(*special: str) -> Any:
        core = tokenizers.Tokenizer(
            tokenizers.models.BPE(
                vocab={c: i for i, c in enumerate(sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))}, merges=[]
            )
        )
        core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        core.decoder = tokenizers.decoders.ByteLevel()
        core.add_special_tokens([tokenizers.AddedToken(one, special=True) for one in ("<end>", "<video>", *special)])
        return transformers.PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")

    return build


@pytest.mark.parametrize(("special", "text"), FORMS.items())
def test_special_marks_part_the_reasoning_from_the_answer(special: Any, text: str, tokenizer_of: Any) -> None:
    tokenizer = tokenizer_of(*special)
    assert marks.kept(tokenizer) == set(special)
    ids = tokenizer(f"{text}<video><end>", add_special_tokens=False)["input_ids"]
    assert "It rises.B" in tokenizer.decode(ids, skip_special_tokens=True).replace("final", "")  # read as one answer
    for said in (marks.decoded(tokenizer, ids), marks.without_others(tokenizer, f"{text}<video><end>")):
        assert said == text
        assert (part(said).reasoning, part(said).answer) == ("It rises.", "B")


def test_a_tokenizer_without_marks_decodes_as_ever(tokenizer_of: Any) -> None:
    tokenizer = tokenizer_of("<|im_end|>", "<|end|>", "<|think|>")
    ids = tokenizer("<think>a</think>B<|end|><end>", add_special_tokens=False)["input_ids"]
    assert not marks.kept(tokenizer)
    assert marks.decoded(tokenizer, ids) == tokenizer.decode(ids, skip_special_tokens=True) == "<think>a</think>B"
