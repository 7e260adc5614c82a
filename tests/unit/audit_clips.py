"""Questions on small drawn videos in which one thing at a time gives the answer away.

Example:
    own = clean(tmp_path)
    own.write("a.mp4", 3, clock=True)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from block_videos import moving

FRAMES, HEIGHT, WIDTH = 12, 128, 224


def write(
    path: Path,
    seed: int,
    *,
    clock: bool = False,
    tags: Mapping[str, str] | None = None,
    quantiser: int = 4,
    noisy: tuple[int, int] = (0, 0),
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> None:
    """Twelve frames, one a second, of blocks that scroll; `noisy` are frames with grain of their own."""
    pixels = moving(FRAMES, HEIGHT, WIDTH, low=90, high=150, seed=seed).pixels.copy()
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=1, options={"qmin": str(quantiser), "qmax": str(quantiser)})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = FRAMES
        out.metadata.update(tags or {})
        for number, picture in enumerate(pixels):
            if noisy[0] <= number < noisy[1]:
                picture[:] = np.clip(picture + rng.normal(0, 25, picture.shape), 0, 255).astype(np.uint8)
            if clock:
                cv2.rectangle(picture, (4, 4), (70, 24), (0, 0, 0), -1)
                cv2.putText(picture, f"12:{number:02d}", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
            frame = av.VideoFrame.from_ndarray(cv2.resize(picture, size), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def questions(n: int, names: str = "{n:03d}.mp4", letter: str = "ABCD", **more: Any) -> list[dict[str, Any]]:
    """A question a video, each of four options right as often."""
    words = ["red car", "big bus", "old van", "new cab"]
    return [
        {
            "id": f"q{n}",
            "video": names.format(n=n, letter=letter[n % 4], word=words[n % 4].replace(" ", "-")),
            "question": f"What passes in clip {n}?",
            "options": words,
            "answer": "ABCD"[n % 4],
        }
        | more
        for n in range(n)
    ]
