"""verl's data set with videos from viubench's frame cache. Loaded by verl, in verl's environment.

Example:
    data.custom_cls.path=pkg://trainer.verl.dataset data.custom_cls.name=FrameCacheDataset
"""

from __future__ import annotations

from typing import Any

import numpy as np
from verl.utils.dataset.rl_dataset import RLHFDataset  # type: ignore[import-not-found]

from trainer.verl.frames import videos
from viubench.video import timestamps
from viubench.video.frames import Pixels

Shown = tuple[Pixels, dict[str, Any]]  # frames (T, H, W, 3) and the metadata that tells their times


class FrameCacheDataset(RLHFDataset):  # type: ignore[misc]
    """Rows as `trainer.verl.export` writes them; their frames are read when an answer is asked for."""

    @classmethod
    def _process_multi_modal_info(
        cls, messages: list[dict[str, Any]], image_patch_size: int, config: Any
    ) -> tuple[None, list[Shown], None]:
        """Images (none), videos and sounds (none) of a conversation, as verl's own class returns them. Frames are those
        viubench shows, at their size and with their true times: nothing samples or resizes them."""
        shown: list[Shown] = []
        for part in (part for turn in messages for part in turn["content"] if part["type"] == "video"):
            video = videos(part["video"], config.frame_cache)[part["place"]]
            meta = timestamps.metadata(video)
            del meta["do_sample_frames"]  # verl says so itself, and transformers' metadata has no such field
            shown.append((np.ascontiguousarray(video.pixels), meta))
        return None, shown, None
