"""The byte-level tokenizer of a tiny checkpoint: every text can be written, nothing is learnt.

Example:
    >>> from viubench.engines.tiny_checkpoints.families import find
    >>> build(find("qwen3_vl")).tokenize("ab<|im_end|>")
    ['a', 'b', '<|im_end|>']
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from viubench.engines.tiny_checkpoints.families import CONTEXT_TOKENS, Family

READABLE = string.digits + string.ascii_lowercase + " .,:-"
VOCABULARY = 1024  # at most so many tokens, bytes and special ones included


def build(family: Family, texts: Sequence[str] = ()) -> Any:
    """One token per byte of UTF-8, one per word of `texts`, and the family's special tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = family.special_tokens
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    if texts:
        digits = pre_tokenizers.Digits(individual_digits=True)
        words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        core.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
        size = VOCABULARY - len(special)
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        core.train_from_iterator(sorted(texts), trainer)
    for token in special:  # think tags and their like are one token each, but the text of an answer keeps them
        hidden = token not in family.visible
        (core.add_special_tokens if hidden else core.add_tokens)([AddedToken(token, special=hidden, normalized=False)])
    if family.begin and family.begins_itself:
        place = (family.begin, core.token_to_id(family.begin))
        core.post_processor = processors.TemplateProcessing(single=f"{family.begin} $A", special_tokens=[place])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=family.end,
        pad_token=family.pad,
        model_max_length=CONTEXT_TOKENS,
        extra_special_tokens=[],
        chat_template=family.chat_template(),
        **({"bos_token": family.begin} if family.begin else {}),
        **family.named,
    )
