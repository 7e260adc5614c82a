"""Questions with their videos as inputs of a checkpoint's forward pass, one or several.

Example:
    batch = stack([policy.pack(sample, videos), policy.pack(other, its_videos)], pad=0)
    batch.inputs["input_ids"].shape  # (2, tokens of the longer prompt)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from viubench.engines import prompts
from viubench.schema import Sample
from viubench.video.frames import VideoInput

# Of videos and of pictures: patches, float [patches, values], and their number in time, height, width, int64 [n, 3].
PIXELS, GRIDS = ("pixel_values_videos", "pixel_values"), ("video_grid_thw", "image_grid_thw")
TEXT = ("input_ids", "attention_mask", "mm_token_type_ids")  # what has a value for each token of a prompt


@dataclass
class Packed:
    """Prompts for the model's forward, B rows. `inputs` are `TEXT`, int64 [B, P], padded on the left (types: 0 text, 1
    image, 2 video), `PIXELS` and `GRIDS`, row by row, and what else the processor gives. The output of a frozen vision
    tower and `forward.positions` are cached."""

    samples: tuple[Sample, ...]
    videos: tuple[tuple[VideoInput, ...], ...]
    inputs: dict[str, Tensor]
    vision_features: dict[str, Any] | None = None
    positions: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def mask(self, copies: int = 1, after: int = 0) -> Tensor | None:
        """The attention mask, int64 [B * copies, P + after], or None where no row is padded: that is faster."""
        mask = self.inputs["attention_mask"]
        if bool(mask.all()):
            return None
        return torch.nn.functional.pad(mask.repeat_interleave(copies, 0), (0, after), value=1)

    def media(self, copies: int) -> dict[str, Tensor]:
        """Pixels and grids, each row's repeated `copies` times."""
        repeated: dict[str, Tensor] = {}
        moving = [len(prompts.moving(row)) for row in self.videos]
        still = [len(row) - many for row, many in zip(self.videos, moving, strict=True)]
        for pixels, grid, counts in zip(PIXELS, GRIDS, (moving, still), strict=True):
            if pixels in self.inputs:
                grids = self.inputs[grid].split(counts)
                patches = self.inputs[pixels].split([int(row.prod(-1).sum()) for row in grids])
                repeated[pixels] = torch.cat([part for part in patches for _ in range(copies)])
                repeated[grid] = torch.cat([part for part in grids for _ in range(copies)])
        return repeated


def stack(rows: Sequence[Packed], pad: int) -> Packed:
    """The rows of several under each other, shorter prompts padded on the left with token `pad`."""
    if len(rows) == 1:
        return rows[0]
    longest = max(row.inputs["input_ids"].shape[1] for row in rows)
    inputs: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for row in rows for name in row.inputs):
        parts = [row.inputs[name] for row in rows if name in row.inputs]
        if name in TEXT:
            filler = pad if name == "input_ids" else 0
            parts = [torch.nn.functional.pad(part, (longest - part.shape[1], 0), value=filler) for part in parts]
        inputs[name] = torch.cat(parts)
    samples = tuple(sample for row in rows for sample in row.samples)
    return Packed(samples, tuple(videos for row in rows for videos in row.videos), inputs)
