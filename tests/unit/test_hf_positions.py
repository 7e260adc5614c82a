"""Text goes on behind the largest position of the video before it."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
positions = pytest.importorskip("viubench.engines.hf.positions")

TEXT, IMAGE, VIDEO = 0, 1, 2
KINDS = [TEXT] * 2 + [VIDEO] * 4 + [TEXT] * 2 + [IMAGE] * 2 + [TEXT]
AS_TRANSFORMERS_5 = [
    [0, 1, 2, 2, 9, 9, 4, 5, 6, 6, 8],
    [0, 1, 2, 2, 2, 2, 4, 5, 6, 6, 8],
    [0, 1, 2, 3, 2, 3, 4, 5, 6, 7, 8],
]
AS_THE_MAKERS = [
    [0, 1, 2, 2, 9, 9, 10, 11, 12, 12, 14],
    [0, 1, 2, 2, 2, 2, 10, 11, 12, 12, 14],
    [0, 1, 2, 3, 2, 3, 10, 11, 12, 13, 14],
]


class Model:
    """Has positions as transformers 5 gives them; the model around it only passes its inputs on."""

    def __init__(self) -> None:
        self.model: Any = None

    def get_rope_index(self, input_ids: Any, mm_token_type_ids: Any, attention_mask: Any = None) -> tuple[Any, Any]:
        found = torch.tensor(AS_TRANSFORMERS_5)[:, None].repeat(1, len(input_ids), 1)
        return found, torch.full((len(input_ids), 1), -1)


def test_text_begins_behind_the_last_time_of_a_video() -> None:
    assert positions.behind(torch.tensor(AS_TRANSFORMERS_5), torch.tensor(KINDS)).tolist() == AS_THE_MAKERS


def test_positions_that_are_right_already_stay() -> None:
    assert positions.behind(torch.tensor(AS_THE_MAKERS), torch.tensor(KINDS)).tolist() == AS_THE_MAKERS


@pytest.mark.parametrize("masked", [False, True])
def test_a_model_gives_them_with_what_generated_tokens_are_moved_by(masked: bool) -> None:
    outer, inner = Model(), Model()
    outer.model = inner
    positions.go_on_behind_videos(outer)
    kinds = torch.tensor([KINDS])
    mask = torch.ones_like(kinds) if masked else None
    found, deltas = inner.get_rope_index(kinds, mm_token_type_ids=kinds, attention_mask=mask)
    assert found[:, 0].tolist() == AS_THE_MAKERS
    assert deltas.tolist() == [[15 - len(KINDS)]]


def test_padding_keeps_its_place() -> None:
    model = Model()
    positions.go_on_behind_videos(model)
    kinds = torch.tensor([KINDS])
    mask = torch.ones_like(kinds)
    mask[0, -1] = 0
    found, deltas = model.get_rope_index(kinds, mm_token_type_ids=kinds, attention_mask=mask)
    assert found[:, 0, :-1].tolist() == [row[:-1] for row in AS_THE_MAKERS]
    assert found[:, 0, -1].tolist() == [8, 8, 8]
    assert deltas.tolist() == [[14 - (len(KINDS) - 1)]]
