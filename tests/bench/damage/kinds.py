"""The sound videos: one short drawn clip in many codecs and containers, and real ones.

Example:
    sources(Path("scratch"))[0].kind
    # 'h264 mp4'
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av

from tests.bench import machine
from viubench.video.discover import VIDEO_SUFFIXES
from viubench.video.synthetic import clip_frames, plan

SIZE, FRAMES, RATE, GROUP = (256, 144), 90, 25, "30"
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@dataclass(frozen=True)
class Kind:
    """How the drawn clip is written: file suffix, encoder, its options, pixel format, the muxer's options."""

    suffix: str
    encoder: str
    options: dict[str, str] = field(default_factory=dict)
    pixels: str = "yuv420p"
    muxer: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A sound video, by the name of its kind."""

    kind: str
    path: Path


X264, X265 = {"g": GROUP}, {"x265-params": f"keyint={GROUP}:log-level=none"}
VP9 = {"g": GROUP, "deadline": "realtime", "cpu-used": "8"}
KINDS = {
    "h264 mp4": Kind("mp4", "libx264", X264),
    "h264 baseline mp4": Kind("mp4", "libx264", X264 | {"profile": "baseline"}),
    "h264 fragmented mp4": Kind("mp4", "libx264", X264, muxer=FRAGMENTS),
    "h264 mkv": Kind("mkv", "libx264", X264),
    "h264 ts": Kind("ts", "libx264", X264),
    "hevc mp4": Kind("mp4", "libx265", X265),
    "hevc mkv": Kind("mkv", "libx265", X265),
    "vp8 webm": Kind("webm", "libvpx", {"g": GROUP, "deadline": "realtime", "cpu-used": "8"}),
    "vp9 webm": Kind("webm", "libvpx-vp9", VP9),
    "vp9 fragmented mp4": Kind("mp4", "libvpx-vp9", VP9, muxer=FRAGMENTS),
    "av1 mp4": Kind("mp4", "libsvtav1", {"g": GROUP, "preset": "10"}),
    "av1 webm": Kind("webm", "libsvtav1", {"g": GROUP, "preset": "10"}),
    "mpeg4 avi": Kind("avi", "mpeg4", {"g": GROUP, "bf": "2"}),
    "mpeg4 mp4": Kind("mp4", "mpeg4", {"g": GROUP}),
    "msmpeg4 avi": Kind("avi", "msmpeg4", {"g": GROUP}),
    "mpeg2 mpg": Kind("mpg", "mpeg2video", {"g": "15", "bf": "2"}),
    "mpeg2 ts": Kind("ts", "mpeg2video", {"g": "15", "bf": "2"}),
    "mjpeg mov": Kind("mov", "mjpeg", pixels="yuvj420p"),
    "mjpeg avi": Kind("avi", "mjpeg", pixels="yuvj420p"),
    "prores mov": Kind("mov", "prores_ks", pixels="yuv422p10le"),
    "ffv1 mkv": Kind("mkv", "ffv1", {"level": "3", "slices": "4", "slicecrc": "1"}),
    "wmv2 asf": Kind("wmv", "wmv2", {"g": GROUP}),
}


def sources(folder: Path, videos: Path | None = None) -> list[Source]:
    """The drawn clip in every kind that this build can encode, written into `folder`; then the files in `videos`."""
    made = [Source(kind, folder / f"{kind.replace(' ', '-')}.{KINDS[kind].suffix}") for kind in KINDS]
    for source in made:
        if KINDS[source.kind].encoder in av.codecs_available:
            # An encoder of its own process: some print, and a crash of one is no end of all.
            machine.in_child(__name__, source.kind, source.path, environment={"SVT_LOG": "0"})
    real = sorted(path for path in videos.iterdir() if path.suffix in VIDEO_SUFFIXES) if videos else []
    return [source for source in made if source.path.exists()] + [Source(path.name, path) for path in real]


def write(kind: Kind, path: Path) -> None:
    """Encode the drawn clip; a few frames after a cut differ wholly from those before."""
    drawn = clip_frames(plan(0, 3, FRAMES / RATE, SIZE, float(RATE), False))
    with av.open(str(path), "w", options=kind.muxer) as container:
        stream = container.add_stream(kind.encoder, rate=RATE, options=kind.options)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.bit_rate = kind.pixels, 3_000_000 if kind.encoder == "mjpeg" else 400_000
        for pixels, _ in zip(drawn, range(FRAMES), strict=False):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    import sys

    write(KINDS[sys.argv[1]], Path(sys.argv[2]))
    print("{}")
