"""What `--dry-run` says of a model's run, and what a real run warns of before its engine starts.

Example:
    for line in Forecast(planned, checkpoint, taken, lengths).memory():
        print(line)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from viubench.engines.memory import Footprint, free_memory
from viubench.errors import MediaError
from viubench.runner import forecast, pipeline
from viubench.runner.forecast import Memory
from viubench.runner.planning import Planned
from viubench.runner.preflight import Lengths, Pace, by_task
from viubench.video import loader
from viubench.video.frame_cache import FrameCache
from viubench.video.process_pool import KillablePool

TRIED = 3
"""Videos decoded to see how long one takes; they stay in the store."""

DECODE_LIMIT = 60.0


@dataclass(frozen=True)
class Forecast:
    """The numbers of one planned run, put into words.

    Attributes:
        taken: what one engine takes.
        replicas: engines; all of them on this machine, as far as memory goes.
    """

    planned: Planned
    taken: Footprint
    lengths: Lengths
    replicas: int = 1

    def table(self, basis: str) -> str:
        """Tokens of each task's prompts, and what they are based on."""
        from tabulate import tabulate

        rows = []
        for task, lengths in by_task(self.lengths).items():
            prompts = [length.prompt for length in lengths]
            mean, video = sum(prompts) / len(prompts), sum(length.video for length in lengths) / len(prompts)
            rows.append([task, len(prompts), f"{mean:.0f}", f"{video:.0f}", max(prompts), lengths[0].answer])
        headers = ["task", "to ask", "tokens a prompt", "of them video", "longest", "answer, at most"]
        exact = sum(length.exact for length in self.lengths.samples.values())
        total = len(self.lengths.samples)
        sizes = "frame sizes: measured" if exact == total else (
            f"frame sizes: measured for {exact} of {total} samples, for the others the most that the protocol allows"
        )  # fmt: skip
        return f"{tabulate(rows, headers, disable_numparse=True)}\n{sizes}; {basis}"

    @property
    def longest(self) -> int:
        return max((length.whole for length in self.lengths.samples.values()), default=0)

    def memories(self) -> dict[str, Memory]:
        """The memory the model lives in and, beside a GPU, this machine's."""
        taken = self.taken
        frames = [length.frame_bytes for length in self.lengths.samples.values()]
        most = max(frames, default=0)
        held = max(most, min(loader.FRAME_BYTES, most * (taken.in_flight + pipeline.LOOK_AHEAD)))
        processed = min(taken.processed, 2 * 4 * sum(frames))  # as float32, in two processes
        beside = (held + processed) * self.replicas
        if taken.gpu is None:
            cache = None if taken.cache is None else taken.cache * self.replicas
            return {"CPU": Memory(taken.available, taken.weights * self.replicas, taken.token, cache, beside)}
        return {
            taken.gpu.name: Memory(taken.available, taken.weights, taken.token, taken.cache),
            "this machine": Memory(free_memory(), 0, 0, 0, beside),
        }

    def memory(self) -> list[str]:
        """One line for each memory."""
        lines = []
        for name, memory in self.memories().items():
            cache = "what is left for the key-value cache" if memory.cache is None else (
                f"{_size(memory.cache)} key-value cache"
            )  # fmt: skip
            sequences = memory.sequences(self.longest)
            held = "" if sequences is None else f"; {sequences} sequences of {self.longest} tokens at once"
            of = f" ({self.replicas} engines)" if self.replicas > 1 and self.taken.gpu is None else (
                f" (each of {self.replicas})" if self.replicas > 1 and memory.weights else ""
            )  # fmt: skip
            lines.append(
                f"memory, {name}{of}: {_size(memory.weights)} weights, {cache}, {_size(memory.other)} frames and "
                f"processed videos at most, of {_size(memory.available)}{held} (activations not counted)"
            )
        return lines

    def warnings(self) -> list[str]:
        """What would end in an out-of-memory, and what to change."""
        lines = []
        for name, memory in self.memories().items():
            if memory.needed > memory.available:
                lines.append(
                    f"{name} has {_size(memory.available)} for {_size(memory.needed)}: use a smaller dtype or model, "
                    "lower --engine-arg mm_processor_cache_gb or kv_cache_memory_bytes, or show fewer --frames"
                )
            elif memory.sequences(self.longest) == 0:
                lines.append(
                    f"{name}: {_size(memory.room)} of key-value cache hold no sequence of {self.longest} tokens "
                    f"({_size(self.longest * memory.token)}): show fewer --frames or --max-pixels, or give the cache "
                    "more (--engine-arg gpu_memory_utilization, kv_cache_memory_bytes)"
                )
        return lines

    def time(self, pace: Pace | None, decoding: tuple[float, int], workers: int) -> list[str]:
        """Estimated seconds, part by part, each with what it is based on.

        Args:
            pace: of answers already in this folder, of one engine.
            decoding: seconds that one clip takes a worker, the mean of so many (0: none was to be decoded).
        """
        each, tried = decoding
        pending, count = len(self.lengths.undecoded), len(self.lengths.samples)
        workers = min(workers * self.replicas, os.cpu_count() or 1)
        decode = forecast.decode_seconds(pending, each, workers)
        shown = (
            f"{each:.2f} s each, mean of {tried} decoded just now, by {workers} at a time" if tried else "nothing to do"
        )
        lines = [f"time, decoding: {_span(decode)} for {pending} of {self.lengths.clips} clips ({shown})"]
        if pace is not None:
            engine, engines = count * pace.seconds / self.replicas, self.replicas
            basis = f"{pace.seconds:.3f} s each, from the {pace.answers} answers in this folder"
        else:
            engine, engines, basis = self._guess(count)
        if engines > 1:
            basis += f", by {engines} engines"
        lines.append(f"time, engine: {_span(engine)} for {count} answers ({basis})")
        return [*lines, f"time in all: about {_span(max(decode, engine))} and the engine's start; both go on at once"]

    def _guess(self, count: int) -> tuple[float, int, str]:
        """Seconds for `count` answers without a measurement, by how many engines of this speed, and the basis.

        Each replica has GPUs of its own; on a processor all of them share its cores.
        """
        gpu, answers = self.taken.gpu, sum(length.answer for length in self.lengths.samples.values())
        flops, source = forecast.cpu_flops() if gpu is None else forecast.gpu_flops(gpu.name)
        engines = 1 if gpu is None else self.replicas
        tokens = self.lengths.fresh + answers
        computing = forecast.engine_seconds(self.taken.parameters, tokens, flops)
        basis = (
            f"{tokens:,} tokens x 2 x {self.taken.parameters:,} parameters at {source}, and "
            f"{forecast.REQUEST_SECONDS:g} s a request, a guess"
        )
        return (computing + count * forecast.REQUEST_SECONDS) / engines, engines, basis


def try_decoding(wants: Sequence[loader.Wanted], store: FrameCache) -> tuple[float, int]:
    """Decode up to `TRIED` clips into the store, one after the other: mean seconds and their number. A clip that does
    not decode is passed over: the run will say what is wrong with it."""
    seconds = []
    with KillablePool(1, DECODE_LIMIT) as pool:
        pool.submit(os.getpid, name="").result()  # a process that is still starting would be timed with it
        for root, clip, sampling, resize in wants[: 2 * TRIED]:
            try:
                filled = pool.submit(loader.fill, store.root, root, [(clip, sampling)], resize, name=clip.path).result()
            except MediaError:
                continue
            if isinstance(filled.keys[0], MediaError):
                continue
            seconds.append(filled.seconds)
            if len(seconds) == TRIED:
                break
    return (sum(seconds) / len(seconds), len(seconds)) if seconds else (0.0, 0)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if abs(count) >= 1e8 else f"{count / 1e6:.1f} MB"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
