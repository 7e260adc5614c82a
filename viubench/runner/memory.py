"""Whether a run fits into memory: an engine's footprint and the frames beside it, against what there is.

Example: 16 GB of weights on a GPU of 139 GiB, 147,456 bytes of key-value cache a token.
    >>> memory = Memory(available=int(0.9 * 139 * 2**30), weights=16 * 10**9, token=147_456)
    >>> memory.sequences(4_364)
    183
"""

from __future__ import annotations

from dataclasses import dataclass

from viubench.engines.memory import Footprint, free_memory
from viubench.runner import pipeline
from viubench.runner.preflight import Lengths
from viubench.video import loader


@dataclass(frozen=True)
class Memory:
    """Bytes an engine has (`available`, of the GPU or of the machine) and takes.

    Attributes:
        token: key-value cache of one token; 0 where it is not known.
        cache: what is set aside for the cache; None where it gets all that is left.
        other: what lives beside in the same memory: processed videos, frames held. Activations are not counted.
    """

    available: int
    weights: int
    token: int
    cache: int | None = None
    other: int = 0

    @property
    def room(self) -> int:
        """Bytes for the key-value cache; below 0 where the rest alone is too much."""
        left = self.available - self.weights - self.other
        return left if self.cache is None else min(self.cache, left)

    @property
    def needed(self) -> int:
        """Bytes taken where the cache is set aside; without it, the rest."""
        return self.weights + self.other + (self.cache or 0)

    def sequences(self, tokens: int) -> int | None:
        """How many sequences of so many tokens are held at once; None where a token's bytes are not known."""
        return max(self.room, 0) // (self.token * tokens) if self.token and tokens else None


@dataclass(frozen=True)
class MemoryCheck:
    """The memory of one planned run: of `replicas` engines, all on this machine, of which each takes `taken`."""

    taken: Footprint
    lengths: Lengths
    replicas: int = 1

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt with its answer."""
        return max((length.whole for length in self.lengths.values()), default=0)

    def memories(self) -> dict[str, Memory]:
        """The memory the model lives in and, beside a GPU, this machine's."""
        taken = self.taken
        frames = [length.frame_bytes for length in self.lengths.values()]
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

    def lines(self) -> list[str]:
        """One line for each memory."""
        lines = []
        for name, memory in self.memories().items():
            cache = "what is left for the" if memory.cache is None else _size(memory.cache)
            engines = ""
            if self.replicas > 1 and self.taken.gpu is None:
                engines = f" ({self.replicas} engines)"
            elif self.replicas > 1 and memory.weights:
                engines = f" (each of {self.replicas})"
            sequences = memory.sequences(self.longest)
            held = "" if sequences is None else f"; {sequences} sequences of {self.longest} tokens at once"
            lines.append(
                f"memory, {name}{engines}: {_size(memory.weights)} weights, {cache} key-value cache, "
                f"{_size(memory.other)} frames and processed videos at most, of {_size(memory.available)}{held} "
                "(activations not counted)"
            )
        return lines

    def warnings(self) -> list[str]:
        """What would run out of memory, and what to change."""
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


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if abs(count) >= 1e8 else f"{count / 1e6:.1f} MB"
