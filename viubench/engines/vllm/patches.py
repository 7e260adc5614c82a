"""Patches straight from uint8 frames, in the place of what vLLM's processors of Qwen-VL models do on the way.

Such a processor copies all frames for each step (one video is stacked, cut, joined and joined again), and tokenises
thousands of placeholders that nobody reads; all in one thread, behind which every question waits. Here the bytes of a
frame move to their places in the patches at once, in as many threads as there are videos: the same bits. All else that
it makes of a video comes from its metadata: it gets black frames of a token's size instead.

Example:
    renderer.mm_processor = quick(renderer.get_mm_processor(), {"do_resize": False, "do_sample_frames": False})
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import zip_longest
from typing import Any, TypeGuard

import cv2
import numpy as np

from viubench.video.frames import Pixels
from viubench.video.loader import ByteBudget

PATCH_BYTES = 1 << 30
"""Bytes of patches that are made or wait for vLLM's thread at once; a video that is larger waits for its turn alone."""

DRAWN = ((4, 2, 3), (3, 3, 2))
"""Frames, and height and width in tokens, of the videos on which both ways are compared."""


def quick(theirs: Any, arguments: Mapping[str, Any]) -> Any:
    """vLLM's multimodal processor with quick patches, where it makes patches of this kind and both ways give the same
    bits for drawn videos; else itself. `arguments` are those that each prompt has (`mm_processor_kwargs`)."""
    try:
        ours = _quick_class(type(theirs))(theirs.info, theirs.dummy_inputs, arguments)
        side = ours.patcher.side
        drawn = [
            [_drawn(one, (frames, side * height, side * width), arguments) for one in (theirs, ours)]
            for frames, height, width in DRAWN
        ]
        same = all(_same(*both) for both in drawn)
    except Exception:  # another kind of processor, or a version of vLLM or transformers with other ways
        return theirs
    return ours if same else theirs


class Patcher:
    """Cuts frames into the patches of one video processor."""

    def __init__(self, processor: Any) -> None:
        self.patch, self.merge = processor.patch_size, processor.merge_size
        self.group = processor.temporal_patch_size
        self.side = self.patch * self.merge  # of a token

    def fits(self, frames: Any) -> TypeGuard[Pixels]:
        """Whether these are frames that can be cut as they are."""
        bytes_ = isinstance(frames, np.ndarray) and frames.dtype == np.uint8
        return bytes_ and frames.shape[3:] == (3,) and not (frames.shape[1] % self.side or frames.shape[2] % self.side)

    def grid(self, frames: Pixels) -> tuple[int, int, int]:
        """Groups of frames, and rows and columns of patches."""
        return -(-len(frames) // self.group), frames.shape[1] // self.patch, frames.shape[2] // self.patch

    def __call__(self, frames: Pixels) -> Any:
        """Frames uint8 [T, H, W, 3] as a tensor uint8 [patches, 3 * group * patch * patch]; the last frame fills its
        group. Patches that become one token stand side by side."""
        import torch

        groups, rows, columns = self.grid(frames)
        merge, (height, width) = self.merge, frames.shape[1:3]
        run = np.dtype((np.void, self.patch))  # the pixels of a patch that lie in one row move together
        patches = np.empty((groups, rows // merge, columns // merge, merge, merge, 3, self.group, self.patch), run)
        planes = np.empty((self.group, 3, height, width), np.uint8)
        rows_of_patches = planes.view(run).reshape(
            self.group, 3, rows // merge, merge, self.patch, columns // merge, merge
        )
        for group in range(groups):
            for place in range(self.group):
                cv2.split(frames[min(group * self.group + place, len(frames) - 1)], list(planes[place]))
            patches[group] = rows_of_patches.transpose(2, 5, 3, 6, 1, 0, 4)
        return torch.from_numpy(patches.view(np.uint8).reshape(groups * rows * columns, -1))


def _quick_class(base: type[Any]) -> type[Any]:
    """vLLM's class with another way to its patches; made here, since vLLM is imported when an engine starts."""
    from vllm.multimodal.parse import parse_mm_uuids
    from vllm.multimodal.processing import ProcessorInputs

    class Quick(base):  # type: ignore[misc]
        """Takes the quick way where the arguments are `arguments`, with which it was compared; any other prompt goes
        vLLM's way."""

        def __init__(self, info: Any, dummy_inputs: Any, arguments: Mapping[str, Any]) -> None:
            super().__init__(info, dummy_inputs)
            self.arguments = dict(arguments)
            self.patcher = Patcher(info.get_hf_processor().video_processor)
            self.made: dict[int, Any] = {}

        def missing(self, prompt: Mapping[str, Any], cache: Any) -> list[Pixels]:
            """Frames of the videos of a prompt that can be cut and that the cache does not hold."""
            if prompt["mm_processor_kwargs"] != self.arguments:
                return []
            items = self.info.parse_mm_data(prompt["multi_modal_data"])
            names = parse_mm_uuids(prompt["multi_modal_uuids"])
            inputs = ProcessorInputs([], items, names, hf_processor_mm_kwargs=prompt["mm_processor_kwargs"])
            cached = [] if cache is None else cache.is_cached(self._get_mm_hashes(inputs)["video"])
            videos = [frames for frames, _ in prompt["multi_modal_data"]["video"]]
            return [frames for frames, there in zip_longest(videos, cached) if not there and self.patcher.fits(frames)]

        def _apply_hf_processor_main(self, mm_items: Any, hf_kwargs: Mapping[str, object]) -> Any:
            import torch

            videos = mm_items["video"].get_processor_data()["videos"] if {*mm_items} == {"video"} else []
            frames = [video[0] if isinstance(video, tuple) else video for video in videos]
            if not frames or hf_kwargs != self.arguments or not all(map(self.patcher.fits, frames)):
                return super()._apply_hf_processor_main(mm_items, hf_kwargs)
            black = [np.zeros((len(one), self.patcher.side, self.patcher.side, 3), np.uint8) for one in frames]
            metas = mm_items["video"].metadata
            rest = self.info.parse_mm_data({"video": list(zip(black, metas, strict=True))}, validate=False)
            made = super()._apply_hf_processor_main(rest, hf_kwargs)
            patches = [self.made[id(one)] if id(one) in self.made else self.patcher(one) for one in frames]
            made["pixel_values_videos"] = patches[0] if len(patches) == 1 else torch.cat(patches)
            made["video_grid_thw"] = torch.tensor([self.patcher.grid(one) for one in frames])
            return made

    return Quick


class Ahead:
    """Makes patches in other threads than vLLM's one for videos, where `processor` is a quick one: as many videos at
    a time as memory allows, each once however many questions ask for it, and none that vLLM has in its cache.

    Prompts go on in the order they came, so that vLLM gets the questions of a video one after the other: its encoder
    keeps a few videos only.

    Example:
        async with Ahead(renderer).of(prompt):
            await renderer.render_cmpl_async([prompt])
    """

    def __init__(self, renderer: Any) -> None:
        self.renderer = renderer
        self.processor = renderer.get_mm_processor()
        self.room = ByteBudget(PATCH_BYTES)
        self.entry = asyncio.Lock()  # who came first gets room first: later ones wait for it
        self.last = asyncio.Event()
        self.last.set()
        self.coming: Counter[tuple[str, ...]] = Counter()

    @asynccontextmanager
    async def of(self, prompt: Mapping[str, Any]) -> AsyncIterator[None]:
        """The patches of a prompt's videos are there during the block, or in the cache behind it."""
        names = tuple(prompt.get("multi_modal_uuids", {}).get("video", ()))
        if not names or not hasattr(self.processor, "patcher"):
            yield
            return
        before, self.last = self.last, asyncio.Event()
        done, first = self.last, not self.coming[names]
        self.coming[names] += 1
        try:
            async with AsyncExitStack() as held:
                if first:  # the others find it in vLLM's cache
                    await self._make(self.processor.missing(prompt, self.renderer.mm_processor_cache), held)
                await before.wait()
                yield
        finally:
            self.coming -= Counter([names])
            done.set()

    async def _make(self, videos: Sequence[Pixels], held: AsyncExitStack) -> None:
        """Make the patches of videos; they are kept until `held` is closed."""
        if not videos:
            return
        async with self.entry:
            await held.enter_async_context(self.room.hold(sum(frames.nbytes for frames in videos)))
        for frames in videos:
            held.callback(self.processor.made.pop, id(frames), None)
        made = await asyncio.gather(*(asyncio.to_thread(self.processor.patcher, frames) for frames in videos))
        self.processor.made |= {id(frames): one for frames, one in zip(videos, made, strict=True)}


def _drawn(processor: Any, size: tuple[int, int, int], arguments: Mapping[str, Any]) -> Any:
    """What a processor makes of a drawn video of (frames, height, width)."""
    frames = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    times = [7 * number for number in range(len(frames))]
    meta = {"fps": 3.0, "duration": 20.0, "total_num_frames": 60, "frames_indices": times, "video_backend": "drawn"}
    items = processor.info.parse_mm_data({"video": [(frames, meta)]})
    text = processor.dummy_inputs.get_dummy_text({"video": 1})
    return processor(text, items, hf_processor_mm_kwargs=arguments)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two engine inputs of one video are the same: tokens, their places, and every bit of the patches."""
    names = ("prompt_token_ids", "mm_placeholders")
    if any(one[name] != other[name] for name in names):
        return False
    (here,), (there,) = one["mm_kwargs"]["video"], other["mm_kwargs"]["video"]
    return {*here} == {*there} and all(_equal(here[name].data, there[name].data) for name in here)


def _equal(one: Any, other: Any) -> bool:
    import torch

    if torch.is_tensor(one) and torch.is_tensor(other):
        return one.dtype == other.dtype and bool(torch.equal(one, other))
    return bool(one == other)
