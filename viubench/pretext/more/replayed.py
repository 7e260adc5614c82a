"""What kinds have in common that show the frames of one segment at other places: speed, repetition, reversal.

Example: a segment played backwards is

    class Backwards(Replayed):
        def places(self, total, drawn): return [*range(start), *range(stop - 1, start - 1, -1), *range(stop, total)]
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from viubench.pretext.kinds import PretextKind, Rejected, Scene, Shown
from viubench.video.frames import VideoInput


class Replayed(PretextKind):
    """Shows each place of the video a frame of the same video."""

    @abstractmethod
    def places(self, total: int, drawn: Mapping[str, Any]) -> list[int]:
        """Which of the `total` frames is shown at each place."""

    def show(self, drawn: Mapping[str, Any], seed: int, videos: Sequence[VideoInput]) -> Shown:
        places = self.places(len(videos[0]), drawn)
        return Shown(videos[0].pixels[places], [videos[0].indices[place] for place in places])

    def unseen(self, scene: Scene, drawn: Mapping[str, Any]) -> Rejected | None:
        """Why the change cannot be seen, or None: the first and the last frame out of place must look different from
        what they replace, and at least half of all of them; and the frames must follow from one another."""
        places = self.places(len(scene.videos[0]), drawn)
        moved = [place for place, source in enumerate(places) if source != place]
        if not moved:
            return Rejected("not_visible")
        if not scene.detector.in_sequence(moved[0], moved[-1] + 1):
            return Rejected("no_visible_order")
        seen = [scene.detector.moved(place, places[place]) for place in moved]
        if not seen[0] or not seen[-1]:
            return Rejected("ends_not_visible")
        return Rejected("not_visible") if sum(seen) * 2 < len(seen) else None
