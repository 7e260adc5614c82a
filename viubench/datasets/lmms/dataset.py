"""`--tasks lmms:NAME`: any generate_until task of the installed lmms-eval as samples for our engines.

Example:
    dataset = read(["videomme"], pictures=Path("run/pictures"))
    dataset.samples[0].id, dataset.samples[0].question[:26]
    # ('lmms:videomme-0', '<video>Select the best answ')

A sample has the prompt of lmms-eval's chat models (`doc_to_messages`, made of `doc_to_visual` and `doc_to_text` where
a task has none), with `<video>` marks where its videos and pictures stand. Pictures are kept as PNG files and shown as
images. A task's stop texts (`until`) are not used, as lmms-eval's own vLLM model does not use them.

Its files may lie anywhere, since the task's own code says where. The media root is the narrowest folder that holds them
all, links resolved, so that nothing beside them can be reached from a record or a changed item.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

from blake3 import blake3

from viubench.datasets.dataset import Dataset
from viubench.datasets.lmms import task_loader
from viubench.datasets.lmms.task_loader import LmmsTask
from viubench.errors import ViubenchError
from viubench.schema import Clip, EvaluatorSpec, GenerationKwargs, Metadata, Prompt, Published, Sample, Task
from viubench.storage import atomic
from viubench.video.discover import PICTURE_SUFFIXES

PREFIX = "lmms:"
PROTOCOL = "fps2-32"  # where the user does not say: lmms-eval leaves how a video is seen to each of its models
NEW_TOKENS = 1024  # of a task that names none: what most of lmms-eval's models take then

_PATH = re.compile(r"/[^\s'\",]+")


def read(
    names: Sequence[str],
    *,
    pictures: Path,
    include_paths: Sequence[Path] = (),
    limit: int | None = None,
    variant: str = "",
) -> Dataset:
    """Every document of the named tasks, or of all tasks of a named group, as a sample.

    Args:
        names: lmms-eval's names, without `lmms:`.
        pictures: folder that the pictures shown are written to.
        limit: only the first so many documents of each task.

    Raises:
        ViubenchError: see `task_loader.load`; also for a document with sound, several turns, or no question.
    """
    include = tuple(str(path) for path in include_paths)
    loaded = {task.name: task for name in names for task in task_loader.load(name, include, variant)}
    samples: list[Sample] = []
    notes: list[str] = []
    for task in loaded.values():
        reader = _DocumentReader(task, pictures.absolute())
        samples += [reader.sample(index) for index in range(min(len(task), len(task) if limit is None else limit))]
        repeats = getattr(task.task.config, "repeats", 1) or 1
        if repeats > 1:
            notes.append(f"{PREFIX}{task.name}: lmms-eval asks each question {repeats} times, here it is asked once")
    root = _root([path for sample in samples for clip in sample.clips for path in _files(clip)], pictures)
    tasks = {PREFIX + name: _task(task, include, variant) for name, task in loaded.items()}
    return Dataset(tasks, [_below(sample, root) for sample in samples], root, notes=tuple(notes))


def _task(task: LmmsTask, include: Sequence[str], variant: str) -> Task:
    """A task of ours that asks and scores as theirs."""
    config = task.task.config
    generation = config.generation_kwargs or {}
    params = {"task": task.name, "include": list(include), "variant": variant}
    return Task(
        task=PREFIX + task.name,
        description=f"{task.name} of lmms-eval, asked and scored by its own code.",
        domain="lmms-eval",
        dataset_path=str(config.dataset_path or ""),
        dataset_name=str(config.dataset_name or ""),
        split=str(config.test_split or config.validation_split or ""),
        question="{{ question }}",
        prompt=Prompt(published=Published(lmms=task.name, variant=variant or "default")),
        evaluator=EvaluatorSpec(name="lmms_eval", params={key: value for key, value in params.items() if value}),
        metric=task.metrics[0] if task.metrics else "score",
        protocol=PROTOCOL,
        generation_kwargs=GenerationKwargs(
            max_new_tokens=int(generation.get("max_new_tokens") or NEW_TOKENS),
            temperature=float(generation.get("temperature") or 0.0),
        ),
        metadata=Metadata(source="lmms-eval", note=f"lmms-eval {metadata.version('lmms-eval')}"),
    )


@dataclass(frozen=True)
class _DocumentReader:
    """Turns documents of one task into samples; their clips name absolute paths, as `pictures` is one."""

    task: LmmsTask
    pictures: Path

    def sample(self, index: int) -> Sample:
        pieces = list(self.pieces(index))
        clips = tuple(piece for piece in pieces if isinstance(piece, Clip))
        question = "".join("<video>" if isinstance(piece, Clip) else piece for piece in pieces)
        if not question:
            raise ViubenchError(f"{self.task.name}: document {index} asks nothing")
        target = self.task.target(index)
        return Sample(
            id=f"{PREFIX}{self.task.name}-{index}",
            task=PREFIX + self.task.name,
            cluster=self.cluster(index, clips),
            clips=clips,
            question=question,
            target=target,
            answer_text=target,
            params={"doc": index},
        )

    def cluster(self, index: int, clips: Sequence[Clip]) -> str:
        """The document's own `cluster_key`, else its first video below HF_HOME, else itself."""
        doc, key = self.task.doc(index), getattr(self.task.task.config, "cluster_key", None)
        if key and key in doc:
            return str(doc[key])
        if not clips:
            return f"{self.task.name}-{index}"
        first, home = PurePath(_files(clips[0])[0]), _hf_home()
        return first.relative_to(home).as_posix() if first.is_relative_to(home) else first.name

    def pieces(self, index: int) -> Iterator[str | Clip]:
        """A document's texts, videos and pictures, in the order they are shown."""
        try:
            messages = self.task.messages(index)
        except (SystemExit, OSError) as error:
            # Its code reports a missing video so. The run does too, and counts the sample as wrong.
            named = _PATH.search(str(error))
            yield Clip(path=named[0] if named else f"{_hf_home()}/{self.task.name}-{index}")
            yield self.task.text(index)
            return
        for message in messages:
            if message["role"] not in ("user", "system"):
                raise ViubenchError(f"{self.task.name}: a question of several turns cannot be asked here")
            content = message["content"]
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                yield self.piece(part)
            if message["role"] == "system":
                yield "\n\n"

    def piece(self, part: Mapping[str, Any]) -> str | Clip:
        if part["type"] == "text":
            # A text may quote the mark; it must not take the place of a video.
            return str(part["text"]).replace("<video>", "< video>")
        if part["type"] not in ("video", "image"):
            raise ViubenchError(f"{self.task.name} needs {part['type']}, which no engine here takes")
        seen = part.get("url", part.get(part["type"]))
        bounds: dict[str, Any] = {}
        if isinstance(seen, Mapping):
            bounds = {"start": seen.get("video_start"), "end": seen.get("video_end")}
            seen = seen.get("url") or seen.get("path") or seen.get(part["type"])
        if hasattr(seen, "convert"):
            return Clip(frame_files=(self.kept(seen),))
        if not isinstance(seen, str | os.PathLike) or "://" in str(seen):
            raise ViubenchError(f"{self.task.name} shows {str(seen)[:80]!r}, which is neither a file nor a picture")
        path = os.path.abspath(os.path.expanduser(seen))
        picture = part["type"] == "image" or PurePath(path).suffix.lower() in PICTURE_SUFFIXES
        return Clip(frame_files=(path,)) if picture else Clip(path=path, **bounds)

    def kept(self, picture: Any) -> str:
        """Path of a PIL image as a PNG file, which is named by its pixels and written once."""
        plain = picture.convert("RGB")
        name = blake3(repr(plain.size).encode() + plain.tobytes()).hexdigest(length=16)
        path = self.pictures / f"{name}.png"
        if not path.exists():
            written = io.BytesIO()
            plain.save(written, "PNG")
            self.pictures.mkdir(parents=True, exist_ok=True)
            atomic.write(path, written.getvalue())
        return str(path)


def _hf_home() -> str:
    """Where lmms-eval's tasks expect their videos."""
    return os.path.abspath(os.path.expanduser(os.environ.get("HF_HOME", "~/.cache/huggingface")))


def _files(clip: Clip) -> tuple[str, ...]:
    return clip.frame_files or (clip.path,)


def _root(paths: Sequence[str], otherwise: Path) -> Path:
    """The narrowest folder that holds every path, as it is written and as its links resolve."""
    if not paths:
        return otherwise
    folders = {os.path.dirname(path) for path in paths} | {os.path.dirname(os.path.realpath(path)) for path in paths}
    return Path(os.path.commonpath(sorted(folders)))


def _below(sample: Sample, root: Path) -> Sample:
    """The sample with its absolute paths below `root`."""

    def below(clip: Clip) -> Clip:
        frames = tuple(os.path.relpath(path, root) for path in clip.frame_files)
        path = os.path.relpath(clip.path, root) if clip.path else ""
        return clip.model_copy(update={"path": path, "frame_files": frames})

    return replace(sample, clips=tuple(map(below, sample.clips)))
