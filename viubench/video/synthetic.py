"""Draws short sample clips: real mp4 files of varied moving scenes, for demos and tests that may not need a download.

Every clip has a moving camera, textured ground, objects on their own paths and at least one hard cut. The scenes are
built so that each perturbation of the harness can be seen in them: no scene is symmetric (mirror), all are lit from
above (rotation), colourful (channel swap) and in motion at every moment (shuffle).

Example:
    >>> draw(Path("clips"), clips=2, seconds=2, size=(96, 64))
    [PosixPath('clips/clip-00.mp4'), PosixPath('clips/clip-01.mp4')]
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from viubench.video.frames import Pixels

DUSK = 0.2
"""Share of its light that a scene at dusk has lost when it ends."""

Floats = NDArray[np.float32]
Colour = tuple[int, int, int]

SHAPES = ((1.0, 1.0, 1.0), (0.75, 1.0, 1.2), (1.0, 0.75, 0.96), (0.6, 1.1, 0.8), (0.9, 1.2, 1.12))
"""Width, height and frame rate of clip i relative to what was asked, in turn; the first is exactly what was asked."""


class Palette(NamedTuple):
    """Colours of one scene, RGB; each has red far from blue, so that swapping the two is seen."""

    sky: tuple[Colour, Colour]  # zenith, horizon
    ridge: Colour
    ground: tuple[Colour, Colour]  # shaded, lit
    things: tuple[Colour, ...]
    dark: bool = False


PALETTES = (
    Palette(((40, 110, 225), (175, 210, 245)), (60, 110, 150), ((38, 82, 22), (148, 176, 60)),
            ((225, 50, 40), (250, 195, 30), (35, 70, 215))),
    Palette(((70, 40, 120), (255, 150, 70)), (110, 45, 60), ((70, 35, 20), (205, 120, 50)),
            ((250, 225, 90), (30, 95, 200), (200, 30, 70))),
    Palette(((14, 20, 70), (52, 84, 168)), (24, 40, 98), ((10, 28, 62), (56, 118, 160)),
            ((255, 190, 60), (230, 60, 60), (70, 200, 240)), dark=True),
    Palette(((95, 165, 235), (245, 225, 180)), (190, 130, 80), ((140, 78, 30), (236, 190, 110)),
            ((20, 110, 190), (190, 30, 40), (60, 140, 50))),
    Palette(((0, 60, 110), (20, 150, 190)), (0, 70, 110), ((14, 60, 90), (215, 195, 120)),
            ((255, 120, 40), (250, 220, 60), (215, 50, 120)), dark=True),
)  # fmt: skip


class Sprite(NamedTuple):
    """One moving object: RGBA float32 [S, S, 4] (colour 0..255, alpha 0..1) and its path in pixels and seconds."""

    image: Floats
    start: tuple[float, float]
    speed: float  # pixels a second to the right, negative to the left
    swing: tuple[float, float, float]  # height in pixels, turns a second, phase
    growth: float  # share of the size gained and lost in one swing


class Scene(NamedTuple):
    """What is seen between two cuts: two layers, each wider than the frame, and the objects in front of them."""

    far: Pixels
    near: NDArray[np.uint8]  # RGBA
    sprites: tuple[Sprite, ...]
    pan: tuple[float, float]  # where the view starts and heads for, as shares of the room there is
    zoom: tuple[float, float]


class ClipPlan(NamedTuple):
    """One clip to draw. `cuts` are the frame numbers at which a new scene begins, the first being 0."""

    name: str
    size: tuple[int, int]
    fps: Fraction
    frames: int
    cuts: tuple[int, ...]
    seed: tuple[int, int]
    dusk: bool = False


def plan(index: int, seed: int, seconds: float, size: tuple[int, int], fps: float, dusk: bool = False) -> ClipPlan:
    """Size, rate, length and cuts of clip `index`; sizes are rounded to even numbers, which 4:2:0 video needs.

    Clips at dusk are all as asked, one scene each: a world for a model too small to cope with variety.
    """
    if dusk:
        steady = Fraction(fps).limit_denominator(1001)
        frames = max(4, round(seconds * steady))
        return ClipPlan(f"clip-{index:02d}.mp4", size, steady, frames, (0,), (seed, index), dusk=True)
    wide, high, rate = SHAPES[index % len(SHAPES)]
    width, height = (max(16, 2 * round(side * share / 2)) for side, share in zip(size, (wide, high), strict=True))
    speed = Fraction(fps * rate).limit_denominator(1001)
    rng = np.random.default_rng((seed, index))
    # The golden ratio never repeats itself: lengths differ between all clips, from 80 % to 120 % of the requested one.
    length = seconds * (1.0 if index == 0 else 0.8 + 0.4 * (index * 0.618034 % 1))
    frames = max(4, round(length * speed))
    shares = (0.35 + 0.3 * rng.random(),) if index % 2 == 0 else (0.25 + 0.1 * rng.random(), 0.6 + 0.15 * rng.random())
    cuts = (0, *(round(share * frames) for share in shares))
    return ClipPlan(f"clip-{index:02d}.mp4", (width, height), speed, frames, cuts, (seed, index))


def noise(rng: np.random.Generator, height: int, width: int, cell: int, octaves: int = 4) -> Floats:
    """Smooth random texture [height, width] in 0..1, features of `cell` pixels and `octaves - 1` finer ones."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        step = max(1, cell >> octave)
        grid = rng.random((height // step + 2, width // step + 2), np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(0.5**octave)
    low, high = float(total.min()), float(total.max())
    return np.asarray((total - low) / (high - low), np.float32)


def blend(low: Colour, high: Colour, share: Floats) -> Floats:
    """Colour from `low` (share 0) to `high` (share 1), float32 [..., 3]."""
    a, b = np.array(low, np.float32), np.array(high, np.float32)
    return np.asarray(a + (b - a) * share[..., None], np.float32)


def far_layer(rng: np.random.Generator, height: int, width: int, palette: Palette) -> Pixels:
    """Sky with clouds, a sun or moon off the middle, and a ridge of hills."""
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    layer = blend(*palette.sky, np.repeat(rows, width, 1))
    clouds = np.clip(noise(rng, height, width, max(8, height // 3), 5) * 2 - 0.9, 0, 1)
    clouds *= 0.15 if palette.dark else 0.6
    layer += (np.array((250, 240, 235), np.float32) - layer) * clouds[..., None]
    centre = (int(width * rng.choice((0.22, 0.72))), int(height * rng.uniform(0.12, 0.25)))
    cv2.circle(layer, centre, max(3, height // 14), (255, 244, 200), -1, cv2.LINE_AA)
    ridge = (0.35 + 0.3 * noise(rng, 2, width, max(8, width // 4), 5)[0]) * height
    depth = (np.arange(height, dtype=np.float32)[:, None] - ridge) / height
    texture = 0.65 + 0.7 * noise(rng, height, width, max(4, height // 10))
    hills = np.array(palette.ridge, np.float32) * (texture * (1.25 - np.clip(depth, 0, 1)))[..., None]
    layer = np.where((depth > 0)[..., None], hills, layer)
    return np.clip(layer, 0, 255).astype(np.uint8)


def near_layer(rng: np.random.Generator, height: int, width: int, palette: Palette) -> NDArray[np.uint8]:
    """Ground with what stands on it (trees or houses), RGBA: clear where the far layer shows."""
    edge = (0.62 + 0.16 * noise(rng, 2, width, max(8, width // 3), 5)[0]) * height
    depth = (np.arange(height, dtype=np.float32)[:, None] - edge) / height
    texture = noise(rng, height, width, max(6, height // 7), 5)
    colour = blend(*palette.ground, np.clip(texture * 1.3 - 0.6 * np.clip(depth, 0, 1), 0, 1))
    layer = np.dstack([colour, np.where(depth > 0, 255, 0).astype(np.float32)])
    stand = plant_tree if rng.random() < 0.5 else build_house
    places = np.arange(width // 30, width, max(8, width // 14))
    for x in np.sort(rng.choice(places, min(7, len(places)), replace=False)):
        stand(rng, layer, (int(x), int(edge[x]) + height // 20), palette)
    return np.clip(layer, 0, 255).astype(np.uint8)


def plant_tree(rng: np.random.Generator, layer: Floats, foot: tuple[int, int], palette: Palette) -> None:
    """A trunk under a crown of leaves that is lighter on top."""
    unit = layer.shape[0] * rng.uniform(0.05, 0.09)
    top = (foot[0], int(foot[1] - unit * 2.5))
    dim = 0.35 if palette.dark else 0.9
    cv2.line(layer, foot, top, (92 * dim, 58 * dim, 30 * dim, 255), max(2, int(unit / 3)))
    leaves = np.array(((30, 105, 35), (150, 120, 20), (170, 60, 25))[int(rng.integers(3))], np.float32)
    for k in range(14):
        dx, dy = rng.normal(0, 0.55, 2) * unit
        light = dim * (1.1 - 0.35 * k / 13 - 0.35 * dy / unit)
        spot = (int(top[0] + dx), int(top[1] + dy))
        cv2.circle(layer, spot, max(1, int(unit * 0.45)), (*(leaves * light).tolist(), 255), -1)


def build_house(rng: np.random.Generator, layer: Floats, foot: tuple[int, int], palette: Palette) -> None:
    """A block with a roof and rows of windows, some of them lit."""
    height = layer.shape[0]
    wide, tall = int(height * rng.uniform(0.1, 0.18)), int(height * rng.uniform(0.15, 0.38))
    wall = np.array(palette.things[int(rng.integers(3))], np.float32) * (0.3 if palette.dark else 0.75)
    left, top = foot[0] - wide // 2, foot[1] - tall
    cv2.rectangle(layer, (left, top), (left + wide, foot[1]), (*wall.tolist(), 255), -1)
    cv2.rectangle(layer, (left, top), (left + wide, top + max(1, tall // 12)), (*(wall * 0.5).tolist(), 255), -1)
    step = max(4, height // 24)
    for y in range(top + step, foot[1] - step, step):
        for x in range(left + step // 2, left + wide - step // 2, step):
            lit = rng.random() < 0.4
            pane = (255, 214, 110, 255) if lit else (*(wall * 0.55).tolist(), 255)
            cv2.rectangle(layer, (x, y), (x + step // 2 - 1, y + step // 2), pane, -1)


def make_sprite(rng: np.random.Generator, size: tuple[int, int], colour: Colour, kind: int) -> Sprite:
    """A ball, a van, a kite or a striped fish: textured, lighter on top, facing the way it moves."""
    width, height = size
    side = max(8, int(height * rng.uniform(0.16, 0.32)))
    speed = float(rng.uniform(0.12, 0.3) * width * rng.choice((-1, 1)))
    alpha, image = np.zeros((side, side), np.float32), blend(colour, colour, np.zeros((side, side), np.float32))
    image *= (0.55 + 0.8 * noise(rng, side, side, max(3, side // 4), 3))[..., None]
    s = side - 1

    def at(*points: tuple[float, float]) -> NDArray[np.int32]:
        return np.array([(int(x * s), int(y * s)) for x, y in points], np.int32)

    if kind == 0:
        cv2.circle(alpha, (s // 2, s // 2), int(s * 0.46), 1.0, -1, cv2.LINE_AA)
        image[:, int(s * 0.4) : int(s * 0.58)] = image[:, ::-1][:, int(s * 0.4) : int(s * 0.58), ::-1]
    elif kind == 1:
        cv2.fillPoly(alpha, [at((0.02, 0.3), (0.68, 0.3), (0.98, 0.55), (0.98, 0.78), (0.02, 0.78))], 1.0)
        cv2.fillPoly(image, [at((0.56, 0.36), (0.66, 0.36), (0.86, 0.54), (0.56, 0.54))], (200, 230, 255))
        for x in (0.22, 0.78):
            cv2.circle(alpha, (int(s * x), int(s * 0.8)), max(1, int(s * 0.13)), 1.0, -1)
            cv2.circle(image, (int(s * x), int(s * 0.8)), max(1, int(s * 0.13)), (25, 25, 30), -1)
    elif kind == 2:
        cv2.fillPoly(alpha, [at((0.98, 0.5), (0.45, 0.1), (0.02, 0.42), (0.4, 0.9))], 1.0)
        cv2.fillPoly(image, [at((0.98, 0.5), (0.45, 0.1), (0.42, 0.5))], tuple(255 - c for c in colour))
    else:
        cv2.ellipse(alpha, (int(s * 0.58), s // 2), (int(s * 0.38), int(s * 0.25)), 0, 0, 360, 1.0, -1)
        cv2.fillPoly(alpha, [at((0.28, 0.5), (0.02, 0.24), (0.02, 0.76))], 1.0)
        image[:, :: max(2, side // 5)] *= 0.3
        cv2.circle(image, (int(s * 0.82), int(s * 0.45)), max(1, int(s * 0.05)), (255, 255, 255), -1)
    image *= np.linspace(1.35, 0.55, side, dtype=np.float32)[:, None, None]
    rgba = np.dstack([np.clip(image, 0, 255), alpha])
    rgba = rgba if speed > 0 else rgba[:, ::-1]
    start = (float(rng.uniform(0, width)), float(height * rng.uniform(0.3, 0.85)))
    swing = (float(height * rng.uniform(0.03, 0.15)), float(rng.uniform(0.15, 0.5)), float(rng.uniform(0, 6.28)))
    return Sprite(np.ascontiguousarray(rgba, np.float32), start, speed, swing, float(rng.uniform(0, 0.2)))


def make_scene(rng: np.random.Generator, size: tuple[int, int], palette: Palette) -> Scene:
    """A scene in the colours of `palette`; everything else about it is drawn from `rng`."""
    width, height = size
    canvas = int(height * 1.3), int(width * 1.9)
    kinds = rng.permutation(4)
    sprites = tuple(
        make_sprite(rng, size, palette.things[k % len(palette.things)], int(kinds[k % 4]))
        for k in range(int(rng.integers(3, 6)))
    )
    pan = (0.05, 0.95) if rng.random() < 0.5 else (0.95, 0.05)
    zoom = (1.0, float(rng.uniform(1.1, 1.35)))
    far, near = far_layer(rng, *canvas, palette), near_layer(rng, *canvas, palette)
    return Scene(far, near, sprites, pan, zoom if rng.random() < 0.5 else zoom[::-1])


def view(layer: NDArray[np.uint8], size: tuple[int, int], across: float, zoom: float) -> NDArray[np.uint8]:
    """The window of `layer` a camera sees that stands at `across` (0 left end, 1 right end), at `zoom` >= 1."""
    width, height = size
    wide, high = width / zoom, height / zoom
    left, top = (layer.shape[1] - wide) * across, (layer.shape[0] - high) * 0.6
    matrix = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]], np.float32)
    return np.asarray(cv2.warpAffine(layer, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def paste(frame: Pixels, sprite: Sprite, seconds: float) -> None:
    """Draw `sprite` where it is after `seconds`; leaving at one side it comes back at the other."""
    side = sprite.image.shape[0]
    lift, turns, phase = sprite.swing
    angle = 2 * np.pi * turns * seconds + phase
    x = (sprite.start[0] + sprite.speed * seconds) % (frame.shape[1] + side) - side
    y = sprite.start[1] + lift * np.sin(angle) - side / 2
    left, top = int(np.floor(x)), int(np.floor(y))
    matrix = cv2.getRotationMatrix2D(
        (side / 2, side / 2), 8 * np.cos(angle), 1 - sprite.growth * (1 + np.sin(angle)) / 2
    )
    matrix[:, 2] += x - left, y - top
    drawn = cv2.warpAffine(sprite.image, matrix, (side + 1, side + 1))
    rows = slice(max(0, top), max(0, min(frame.shape[0], top + side + 1)))
    columns = slice(max(0, left), max(0, min(frame.shape[1], left + side + 1)))
    drawn = drawn[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    under = frame[rows, columns]
    under += ((drawn[..., :3] - under) * drawn[..., 3:]).astype(np.int16).astype(np.uint8)


def clip_frames(clip: ClipPlan) -> Iterator[Pixels]:
    """Yield the frames of `clip` in order, uint8 [H, W, 3] RGB; the same plan gives the same pixels."""
    rng = np.random.default_rng((*clip.seed, 1))
    palettes = rng.permutation(len(PALETTES))
    for number, (start, stop) in enumerate(zip(clip.cuts, (*clip.cuts[1:], clip.frames), strict=True)):
        scene = make_scene(rng, clip.size, PALETTES[palettes[number]])
        reach = min(1.0, float((stop - start) / clip.fps) / 3)  # a short scene is not panned through in a rush
        for k in range(stop - start):
            share = k / max(1, stop - start - 1)
            across = scene.pan[0] + (scene.pan[1] - scene.pan[0]) * reach * share
            zoom = scene.zoom[0] + (scene.zoom[1] - scene.zoom[0]) * share
            # The far layer moves a third as much as the near one: depth, as a camera in motion sees it.
            frame = view(scene.far, clip.size, 0.33 + across / 3, 1 + (zoom - 1) / 3)
            near = view(scene.near, clip.size, across, zoom)
            frame = cv2.copyTo(cv2.cvtColor(near, cv2.COLOR_RGBA2RGB), cv2.inRange(near[..., 3], 128, 255), frame)
            for sprite in scene.sprites:
                paste(frame, sprite, float(k / clip.fps))
            yield cv2.convertScaleAbs(frame, alpha=1 - DUSK * k / clip.frames) if clip.dusk else frame


def encoder() -> tuple[str, dict[str, str]]:
    """The encoder this build of PyAV has: H.264 where it can, else MPEG-4 part 2; with its options."""
    try:
        av.codec.Codec("libx264", "w")
    except av.codec.codec.UnknownCodecError:
        return "mpeg4", {"threads": "1", "qscale": "3", "flags": "+qscale"}
    # x264's AVX-512 code reads memory it never wrote, so that equal frames gave other bytes from run to run; SSE2 does
    # not, and every x86-64 processor has it.
    return "libx264", {"threads": "1", "preset": "veryfast", "crf": "23", "x264-params": "asm=SSE2"}


def write_mp4(path: Path, frames: Iterator[Pixels], size: tuple[int, int], fps: Fraction) -> None:
    """Encode `frames` into `path`, which appears only when it is complete. One thread: equal frames, equal bytes."""
    name, options = encoder()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(part), "w", format="mp4") as container:
            stream: Any = container.add_stream(name, rate=fps, options=options)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for pixels in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def draw(
    out: Path,
    clips: int = 8,
    seed: int = 0,
    *,
    seconds: float = 12,
    size: tuple[int, int] = (320, 180),
    fps: float = 25,
    dusk: bool = False,
) -> list[Path]:
    """Write `clips` different clips, `clip-00.mp4` onwards, into the folder `out` and return their paths.

    `seconds`, `size` (width, height in pixels) and `fps` are those of the first clip; the others vary around them, no
    two alike. At `dusk` all clips are exactly so, one scene each, and their light fails steadily.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(clips):
        clip = plan(index, seed, seconds, size, fps, dusk)
        write_mp4(out / clip.name, clip_frames(clip), clip.size, clip.fps)
        paths.append(out / clip.name)
    return paths
