"""What a tiny checkpoint of each family is made of, read from `families.yaml` and `templates.yaml`.

Example:
    >>> find("qwen2_5_vl").model
    'Qwen2_5_VLForConditionalGeneration'
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError, did_you_mean
from viubench.storage import strict_yaml

DEFAULT = "qwen3_vl"
CONTEXT_TOKENS = 32768
HERE = Path(__file__).parent

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": CONTEXT_TOKENS,
    "dtype": "float32",
}
"""Sizes of every family's language model, where its entry says nothing else. vLLM's CPU attention takes heads of 32."""


@dataclass(frozen=True)
class Kind:
    """How large a checkpoint is, and what its weights are for: `changes` are laid over the family's entry."""

    changes: dict[str, Any] = field(default_factory=dict)


SPEAKER = Kind()
LEARNER = Kind(
    {
        "config": {
            "text_config": {
                "hidden_size": 128,
                "intermediate_size": 256,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 32,
                "rope_parameters": {"mrope_section": [8, 4, 4]},
            },
            "vision_config": {"out_hidden_size": 128, "num_position_embeddings": 16},
            "tie_word_embeddings": True,
        },
        # Other programs resize by these; trained on small frames, it must not be shown large ones.
        "image": {"size": {"shortest_edge": 32 * 32, "longest_edge": 28 * 28 * 1280}},
        "video": {"size": {"shortest_edge": 32 * 32, "longest_edge": 32 * 32 * 768}},
    }
)


@dataclass(frozen=True)
class Family:
    """One entry of `families.yaml`; see there."""

    name: str
    model: str
    tokens: list[str]
    end: str
    pad: str
    template: str
    slots: dict[str, str | None]
    config: dict[str, Any]
    processor: dict[str, Any]
    image: dict[str, Any] | None
    video: dict[str, Any] | None
    sampling: dict[str, Any]
    audio: dict[str, Any] | None = None
    named: dict[str, str] = field(default_factory=dict)
    begin: str | None = None
    begins_itself: bool = True
    ends: list[str] = field(default_factory=list)
    visible: list[str] = field(default_factory=list)
    prefixes: dict[str, str] = field(default_factory=dict)
    transposed: list[str] = field(default_factory=list)
    system: str = ""

    @property
    def special_tokens(self) -> list[str]:
        """Every special token, `<row_1..6_col_1..6>` written out."""
        return [token for entry in self.tokens for token in _numbered(entry)]

    def chat_template(self) -> str:
        """Jinja text with the family's slots in it."""
        text = str(_table("templates")[self.template])
        for mark, value in {**self.slots, "system": self.system}.items():
            text = text.replace(f"@{mark.upper()}@", value or "")
        return text

    def configuration(self, tokenizer: Any) -> dict[str, Any]:
        """Keyword arguments of the model's configuration: tokens as ids, and the sizes of every language model."""
        special = set(self.special_tokens)
        ids = {token: tokenizer.convert_tokens_to_ids(token) for token in special}
        text = TEXT | {
            "vocab_size": len(tokenizer),
            "bos_token_id": ids[self.begin or self.pad],
            "eos_token_id": ids[self.end],
            "pad_token_id": ids[self.pad],
        }

        def fill(value: Any, key: str = "") -> Any:
            if isinstance(value, dict):
                value = {name: fill(inner, name) for name, inner in value.items()}
                return text | value if key == "text_config" else value
            return ids.get(value, value) if isinstance(value, str) else value

        return {"dtype": "float32", "tie_word_embeddings": False, **fill(self.config)}


def names() -> dict[str, str]:
    """Every family that can be written, with the published name."""
    return {key: entry["name"] for key, entry in _table("families").items()}


def absent() -> dict[str, str]:
    """Every family that cannot be made here, with the reason."""
    return dict(_table("absent"))


def find(family: str, kind: Kind = SPEAKER) -> Family:
    """The parts of a checkpoint.

    Raises:
        ViubenchError: no such family, one that cannot be made, or a `LEARNER` of another one than Qwen3-VL.
    """
    table = _table("families")
    if family in absent():
        raise ViubenchError(
            absent()[family], where="--family", hint="viubench tiny --list names those that can be made"
        )
    if family not in table:
        known = "viubench tiny --list names them"
        raise ViubenchError(f"no such family: {family}", where="--family", hint=did_you_mean(family, table, known))
    if kind is LEARNER and family != DEFAULT:
        raise ViubenchError(f"a learner is a {DEFAULT}, not a {family}", hint="leave --family out")
    return Family(**_merged(_entry(family), kind.changes))


def _entry(family: str) -> dict[str, Any]:
    entry = dict(_table("families")[family])
    base = entry.pop("like", None)
    return _merged(_entry(base), entry) if base else entry


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, dictionary by dictionary; null takes an inner entry away."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            other_class = "class" in value and value["class"] != merged[key].get("class")
            inner = _merged({} if other_class else merged[key], value)
            merged[key] = {name: item for name, item in inner.items() if item is not None or key == "slots"}
        else:
            merged[key] = value
    return merged


def _numbered(token: str) -> list[str]:
    """`<row_1..2>` as `<row_1>`, `<row_2>`; any other token as it is."""
    if span := re.search(r"(\d+)\.\.(\d+)", token):
        around = token[: span.start()], token[span.end() :]
        return [written for n in range(int(span[1]), int(span[2]) + 1) for written in _numbered(f"{n}".join(around))]
    return [token]


@functools.cache
def _table(name: str) -> dict[str, Any]:
    table: dict[str, Any] = strict_yaml.read(HERE / f"{name}.yaml")[0]
    return table
