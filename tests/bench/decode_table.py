"""Are the frames the right frames? Every clip of a folder, as the harness reads it, against a plain decode in order.

Example:
    python tests/bench/decode_table.py CLIPS [--frames 48]

Prints per clip: reader used, whether its frames were counted by decoding, frames, duration, sampled frames, the largest
time error (against the timestamps in the order a plain PyAV decode gives them) and the largest pixel difference.
Packed B-frames in AVI show an error of one frame: there the plain timestamps step back, and the harness puts them in
rising order.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import av
import numpy as np
from tabulate import tabulate

from viubench.errors import MediaError
from viubench.schema import Resize, Sampling
from viubench.video import decode, sampling
from viubench.video.probe import Probe, probe

BT709, BT601 = 1, 5


def plain(
    path: Path, facts: Probe, wanted: list[int], size: tuple[int, int]
) -> tuple[np.ndarray[Any, Any], list[float]]:
    """Pixels and seconds of the wanted frames by decoding from the start, without the reader's own machinery."""
    pixels, times = {}, {}
    first = 0
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        for number, frame in enumerate(container.decode(stream)):
            first = frame.pts if number == 0 else first
            if number in wanted:
                # PyAV 15 takes BT.601 for everything unless the two matrices differ.
                matrix = {"src_colorspace": BT709, "dst_colorspace": BT601} if frame.colorspace == BT709 else {}
                picture = frame.reformat(format="rgb24", **matrix).to_ndarray()
                pixels[number] = decode.resized(np.rot90(picture, frame.rotation // 90), size)
                times[number] = float((frame.pts - first) * stream.time_base)
            if number == wanted[-1]:
                break
    return np.stack([pixels[number] for number in wanted]), [times[number] for number in wanted]


def row(path: Path, frames: int) -> list[Any]:
    try:
        facts = probe(path, name=path.name)
        chosen = sampling.choose(facts.times, facts.duration, Sampling(frames=frames), name=path.name)
        size = sampling.fit(facts.height, facts.width, Resize())
        pixels, reader = decode.read(path, facts, chosen, size, name=path.name)
    except MediaError as error:
        return [path.name, error.fault, error.detail]
    truth, times = plain(path, facts, chosen.tolist(), size)
    late = float(np.abs(facts.times[chosen] - times).max())
    difference = int(np.abs(pixels.astype(np.int16) - truth).max())
    counted = "decode" if len(facts.pts) == 0 else "packets"
    return [
        path.name,
        reader,
        counted,
        facts.frames,
        f"{facts.duration:.3f}",
        len(pixels),
        f"{late * 1000:.3f}",
        difference,
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clips", type=Path)
    options.add_argument("--frames", type=int, default=48)
    given = options.parse_args()
    files = sorted(path for path in given.clips.iterdir() if path.is_file() and path.suffix != ".md")
    head = ["clip", "reader", "counted by", "frames", "seconds", "sampled", "time error, ms", "pixel difference"]
    print(tabulate([row(path, given.frames) for path in files], headers=head, disable_numparse=True))


if __name__ == "__main__":
    main()
