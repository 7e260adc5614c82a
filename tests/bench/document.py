"""docs/performance.md from the files that the benchmarks wrote: what was run, on what, and what it printed.

Example:
    python -m tests.bench peers --videos clips --json docs/performance/peers.json
    python -m tests.bench document docs/performance --out docs/performance.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from viubench.errors import ViubenchError

SECTIONS = {
    "peers": (
        "Beside other programs",
        "The same checkpoint, clips, questions, frame count, pixel budget, answer length and vLLM settings, "
        "each side alone in a fresh process. `vllm` and `vllm_generate` are lmms-eval's two vLLM models; `vllm` sends "
        "every frame as a picture, so that no two are merged, which makes twice the vision tokens. "
        "`bench_serve` is vLLM's benchmark of its own server, which opens the clips by their path; `evalscope` asks "
        "the same server through its general_vqa, and sends each question the whole file. "
        "The clock runs from the first question to the last answer, engine start excluded; cold is the "
        "first time, warm the second in the same process. Two more passes of ours: next, frames decoded and "
        "the engine's caches empty (the next checkpoint, which is the engine alone), and decode, an empty "
        "frame cache and no questions. Front: processor seconds of all processes of a side but vLLM's engine core, "
        "which is what the cores of a machine with a GPU do. Vision: vision tokens of a question, counted in vLLM's "
        "own prompts. "
        "The floor of a cold pass is the longer of the two or, without a GPU, where "
        "both want the same cores, their processor seconds spread over all cores; left is the share of the cold "
        "pass above it, and the last columns are the ratios that a pass at the floor would have.",
    ),
    "pipeline": (
        "Does it overlap?",
        "Real decoding, and an engine that takes time but no processor, as one on a GPU does: a run, from "
        "nothing, against decoding alone and the engine alone.",
    ),
    "feed": (
        "What feeds the engine",
        "vLLM with a core that takes no time: processor seconds of a question from its video file to its record, which "
        "is what the cores of a machine with a GPU do. Plain leaves vLLM's own processor of videos as it is. Loop is "
        "the thread of the event loop, multimodal vLLM's one thread for videos; front is all but the decode workers, "
        "serial the larger of the two threads as a share of all, and 16 cores what so many could feed in a second at "
        "most. Cold: nothing is decoded or processed; warm: the second time.",
    ),
    "decode": (
        "Decoding",
        "Wall seconds of one process. Ours decodes, resizes, hashes and stores (cold), or finds the frames "
        "and proves them (warm). `wrong` counts frames that are not the ones asked for, against a decode in "
        "order.",
    ),
    "hour": (
        "Long video",
        "Evenly spaced frames of one drawn video of 1080p, each reader in a process of its own: processor seconds, and "
        "the most memory it had. Ours hashes the file, decodes on one core, and writes the frames one by one to the "
        "frame cache. The libraries are asked as `--reader` asks them, some frames at a time; ffmpeg, where it is "
        "installed, decodes everything, selects and scales, and its frames are not compared. `wrong` counts frames "
        "that differ in any bit from a decode in order. torchcodec was 0.7.0, on FFmpeg 5.1.",
    ),
    "pack": (
        "Compressing the frame cache",
        "The same frames of real clips kept raw and compressed, which a run does where its frames are more than the "
        "cache keeps: processor seconds of one process to fill the cache (decode, resize, hash, write) and to load "
        "the frames again (read, and prove their checksum).",
    ),
    "build": (
        "Building pretext items",
        "VIUBench built from a folder of clips, beside making every item by itself with OpenCV: open the "
        "video, read the item's frames, perturb them one by one. Ours also proves every item answerable. "
        "Then memory by number of items.",
    ),
    "damage": (
        "Damaged video",
        "A drawn clip in many codecs and containers, damaged by seeded bit flips, zeros, noise, holes and cuts "
        "behind its first twentieth, and by packets left out or written twice; 24 frames of each file are read as a "
        "run reads them, and held against those of the sound file. In percent of the files: damage told (corrupt, "
        "truncated or another fault); frames shown, all of them right; frames shown, some of them wrong. The wrong "
        "are parted by what would have told them in their own group of pictures: FFmpeg's checks (err_detect), a "
        "second decoder, or either in another part of the file alone; what is left, no decoder tells. So it is with "
        "single flipped bits in HEVC, MPEG-4, MPEG-2, WMV, ProRes and MJPEG, with lost or doubled pictures of "
        "codecs that do not number them (H.264 does, and a gap is told), and with FFV1, whose checksums FFmpeg "
        "reads and only logs. What the checks could have told lies in pictures that nothing refers to and nobody "
        "asked for: they are not decoded. A second decoder of H.264, libopenh264, is counted where it gives the "
        "pictures of the sound file, which it does not with B frames, and is not used in reading. Seconds: decoding "
        "the sound file with every check, against decoding it plainly.",
    ),
    "records": (
        "A million answers",
        "Drawn answers of the built-in kinds: grading and results in one pass, results alone, and the paired "
        "statistics of a gate; each in a process of its own.",
    ),
    "scale": (
        "A run of many questions",
        "A drawn multiple-choice data set of six questions a video, and everything about its run but the model: the "
        "plan; a dry run with a checkpoint, which also counts the tokens of at most 20,000 prompts and looks for "
        "every video; "
        "scoring terse answers, one by one; the same command again for a run whose last line a kill has torn, until "
        "its results; the page. All but the page plan first. Each is a process of its own; CPU counts its start too.",
    ),
    "page": (
        "The page of half a million answers",
        "Made-up answers of ten models to eighteen tasks, then one offline page of all of them; writing it alone is "
        "timed, and the memory before it is that of making the answers up.",
    ),
    "order": (
        "What an answer depends on",
        "The same requests one at a time, many at once and in another order, against one at a time in the same mode.",
    ),
    "curriculum": (
        "A curriculum",
        "GRPO of the tiny model from one warm start of `trainer.demo`, with and without `curriculum`, in equally many "
        "steps: scores of its greedy answers to test items of unseen clips, in [0, 1], their differences paired by "
        "item with 95 % intervals clustered by video. Points a step are of 100.",
    ),
    "startup": (
        "Start-up",
        "Processor seconds, the median of several starts.",
    ),
}
"""Per benchmark, by the name of its command: a title, and what its figures are."""

WIDTH = 118

HEAD = """\
# Performance

Figures of one machine, side by side: compare ratios, and seconds only within a table. Each section shows a command, run
from a checkout, and what it printed; `python -m tests.bench document` writes this page from the files that the commands
wrote.

No figure here is from a GPU, for none was at hand. On a machine with one of 80 GB or more, nine minutes and no network:

```sh
PYTHON=.venv/bin/python tests/gpu/run.sh runs/gpu
```

It draws Qwen3-VL models of 2B and 8B at random, and gives memory, tokens a second and seconds of a GRPO step (LoRA on
both, full weights on 2B), the share of weights that the step changed, questions a second of the hf engine at 48 frames
of 512x512 with where the seconds go, and how fast the cores decode and feed. `--device cpu --shape tiny` tries the
script out anywhere.
"""


def read(folder: Path) -> dict[str, Any]:
    """The files of a folder by their names, which are those of the commands; raises ViubenchError."""
    found = {}
    for name in SECTIONS:
        path = folder / f"{name}.json"
        if path.exists():
            try:
                found[name] = json.loads(path.read_text(encoding="utf-8"))
                _ = found[name]["command"], found[name]["printed"], found[name]["machine"]
            except (ValueError, KeyError, TypeError, OSError):
                raise ViubenchError("not what `python -m tests.bench` writes", where=str(path)) from None
    if not found:
        raise ViubenchError(
            f"none of {', '.join(f'{name}.json' for name in SECTIONS)} is there",
            where=str(folder),
            hint="python -m tests.bench peers --videos CLIPS --json FOLDER/peers.json",
        )
    return found


def render(figures: Mapping[str, Any]) -> str:
    """The page in Markdown: a section for each benchmark there are figures of."""
    parts = [HEAD]
    for name, (title, words) in SECTIONS.items():
        if name in figures:
            one = figures[name]
            shown = f"$ {one['command']}\n{one['printed'].rstrip()}"
            parts.append(f"## {title}\n\n{fill(words, WIDTH)}\n\n```\n{shown}\n```\n\n{_where(one)}\n")
    return "\n".join(parts)


def _where(one: Mapping[str, Any]) -> str:
    machine = one["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    memory = f"{machine['memory_mb'] / 1000:.0f} GB"
    cores = f"{machine['cores']} cores ({machine['machine']})"
    if machine.get("load", 0) > 4 * machine["cores"]:
        cores += f" shared with other work (load {machine['load']})"
    return fill(f"{cores}, {memory}, Python {machine['python']}; {packages}.", WIDTH)
