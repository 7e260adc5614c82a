"""The README of an exported folder: the exact commands, what they match of the protocol, and what they cannot.

Example:
    arguments(protocol, written=True, frames=48)["fps"]
    # 1000
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from viubench.export.video_files import File
from viubench.runner.plan import Plan
from viubench.schema import Protocol
from viubench.version import __version__

EVERY_FRAME = 1000  # frames a second requested of a written file: more than any has
CAP = 768 * 28 * 28  # pixels a frame has at most in qwen-vl-utils, which reads videos for lmms-eval's vLLM models

TEXT = """\
# viubench tasks for lmms-eval

Written by viubench {version}: {questions} questions. In this folder, with MODEL a checkpoint folder or hub id:

{commands}

`--model vllm_generate` hands the frames of a video to the model as a video, as viubench does. `--model vllm` works
with the same arguments; it sends every frame as a picture of its own (twice the tokens on Qwen-VL models), with its
time as text when `is_qwen3_vl=True` is added. On a machine without a GPU set also VLLM_CPU_KVCACHE_SPACE=1 and
VLLM_ENABLE_V1_MULTIPROCESSING=0, and add `dtype=float32,enforce_eager=True,skip_mm_profiling=True` to the model's
arguments.

viubench {version} must be installed beside lmms-eval: it reads and scores the answers. `score` is every task's
headline over all its questions, an unreadable answer counting 0; the other columns are those of viubench's
`results.json`. A group is the mean of its tasks' `score`.

## The same answers scored by viubench

With `--log_samples --output_path logs`, every answer is in `logs/**/*_samples_*.jsonl`:

```
find logs -name '*_samples_*.jsonl' -exec cat {{}} + | \\
  jq -c '{{id: .score.record.id, response: .filtered_resps}}' > answers.jsonl
{score}
```

## What is the same as in `viubench run`, and what is not

{notes}
"""


COMMAND = """\
```
FORCE_QWENVL_VIDEO_READER=decord HF_HUB_OFFLINE=1 python -m lmms_eval --include_path . \\
  --tasks {tasks} --model vllm_generate --batch_size 16 \\
  --model_args model=MODEL,{arguments} \\
  --log_samples --output_path logs
```"""


def arguments(protocol: Protocol, *, written: bool, frames: int) -> dict[str, Any]:
    """Model arguments of lmms-eval's vLLM models that come nearest to a protocol; `written`: every video was written
    here and holds just the frames to be shown, at most `frames` of them."""
    chosen: dict[str, Any]
    if written:
        chosen = {"fps": EVERY_FRAME, "max_frame_num": max(frames + frames % 2, 4), "max_pixels": CAP}
    elif protocol.sampling.kind == "fps":
        chosen = {"fps": f"{protocol.sampling.fps:g}", "max_frame_num": protocol.sampling.frames}
    else:
        chosen = {"nframes": protocol.sampling.frames}
    return {"max_pixels": protocol.resize.max_pixels} | chosen | {"max_new_tokens": protocol.decoding.max_tokens}


def text(planned: Plan, names: Mapping[str, str], together: Sequence[str], files: Mapping[str, list[File]]) -> str:
    """The README; `names` are exported names by ours, `together` names all of them, `files` are by question id."""
    shown = {task: [file for s in planned.samples if s.task == task for file in files[s.id]] for task in names}
    written = {task: all(file.frames for file in shown[task]) for task in names}
    most = max((file.frames or 0 for task in names if written[task] for file in shown[task]), default=0)
    tasks_of: dict[str, list[str]] = {}
    for task, name in names.items():
        chosen = arguments(planned.protocols[task], written=written[task], frames=most)
        tasks_of.setdefault(",".join(f"{key}={value}" for key, value in chosen.items()), []).append(name)
    commands = [
        COMMAND.format(tasks=",".join(together if len(tasks_of) == 1 else tasks), arguments=args)
        for args, tasks in tasks_of.items()
    ]
    return TEXT.format(
        version=__version__,
        questions=len(planned.samples),
        commands="\n\n".join(commands),
        score=_score(planned),
        notes="\n".join(f"- {note}" for note in _notes(planned, shown, written)),
    )


def _score(planned: Plan) -> str:
    """The commands that score logged answers: items on the files' clock from `scoring`, all else from their data."""
    moved = {sample.task for sample in planned.samples if sample.pretext}
    others = ",".join(name for name in planned.tasks if name not in moved)
    lines = ["viubench score --tasks scoring --responses answers.jsonl --out scored"] if moved else []
    if others:
        lines.append(f"viubench score --tasks {others} --data-root DATA --responses answers.jsonl --out scored-data")
    return "\n".join(lines)


def _notes(planned: Plan, shown: Mapping[str, Sequence[File]], written: Mapping[str, bool]) -> Iterator[str]:
    own = [file for files in shown.values() for file in files if file.frames]
    if own:
        yield (
            f"Frames: `media/` holds {len({file.path for file in own})} videos of just the frames viubench shows, "
            "lossless (H.264 in RGB, which software decoders read), at the protocol's size; fps "
            f"{EVERY_FRAME} in the arguments means every frame."
        )
        yield (
            "Times: a file starts at 0 and its frames are evenly apart; in the source they are so within "
            f"{max(file.drift for file in own):.3f} s. Questions about seconds are on the file's clock, their answers "
            "too: what viubench run answers on the source's clock is not comparable letter by letter, its score is."
        )
    if odd := sum((file.frames or 0) % 2 for file in own):
        yield f"Not the same: {odd} videos hold an odd number of frames; qwen-vl-utils shows one fewer."
    yield (
        "Not the same: qwen-vl-utils resizes frames to multiples of 28 pixels (at most 602,112 pixels a frame) and "
        "vLLM again to the model's own multiple (32 for Qwen3-VL); viubench resizes once."
    )
    kinds = {planned.protocols[task].sampling.kind for task, whole in written.items() if not whole}
    if "even" in kinds:
        yield (
            "Not the same: of the publishers' own videos lmms-eval shows frames from the first to the last, viubench "
            "the middles of equal parts of the middle of the video."
        )
    if "fps" in kinds:
        yield (
            "Nearly the same: of the publishers' own videos both show so many frames a second from the first to the "
            "last; lmms-eval always an even number, and it counts in frame numbers where viubench reads timestamps."
        )
    yield (
        "Not the same: lmms-eval does not say whether an answer was cut off at the token limit. viubench run counts "
        "an answer that ends where it was cut as wrong; here it is read as it stands. The limit must stand in the "
        "model's arguments, or its own of 4,096 tokens wins over the task's."
    )
    yield "Not the same: lmms-eval cuts white space and <think> blocks off an answer before it is scored."
    if any(suite.average == "groups" for suite in planned.suites):
        yield "Not there: the mean of a suite whose benchmarks count once each; lmms-eval averages tasks only."
    yield (
        "Several videos: models that take messages (vllm, vllm_generate) see each video where the question names it; "
        "others see all first, and the question says (video 1), (video 2) ..."
    )
