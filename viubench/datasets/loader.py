"""A data set's rows as samples: fields mapped by the task's templates, answers normalised, videos located on disk.

Example:
    dataset = read(task, Path("data"), FrameCache(Path("cache")))
    dataset.samples[0].id
    # 'videomme-001-1'
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import evaluators
from evaluators import Evaluator
from viubench.datasets import choices, doubts, local_manifest, prompts, row_files, subtitles, video_places
from viubench.datasets.dataset import Dataset
from viubench.errors import MediaError, ViubenchError
from viubench.schema import Clip, Groups, Sample, Task, VideoSpec, content_hash
from viubench.schema.tasks import Subtitles
from viubench.tasks import cells, templating
from viubench.video import paths
from viubench.video.discover import PICTURE_SUFFIXES
from viubench.video.frame_cache import FrameCache

PromptSource = Literal["default", "published"]
SHOWN_FAULTS = 3
MAX_PATH = 1 << 14
"""Characters of a path, of which systems take 4096 bytes: anything longer is the video."""


def read(
    task: Task,
    root: Path,
    cache: FrameCache | None = None,
    prompt: PromptSource = "default",
    *,
    told: Subtitles = False,
    folders: Sequence[Path] = (),
) -> Dataset:
    """Every row of a task as a sample, in file order; rows that are equal are all kept.

    Args:
        root: the data root (see `row_files.data_folder`), or one file of rows.
        cache: gives the length of a video where a task asks for intervals and the rows do not say. What is not known
            of one video leaves the task without chance and blind score, which a note says.
        told: whether the subtitles of a video are put before the question, or between its parts; notes say how many
            questions have none, and how many those that cannot be read.
        folders: where the videos may lie, if not just in the data folder (see `video_places`).

    Raises:
        ViubenchError: no row files, a field that is not there, or rows whose answer or videos cannot be read.
    """
    folder = row_files.data_folder(task, root)
    unreadable: list[str] = []
    rows = row_files.rows(task, folder, root if root.is_file() else None, unreadable)
    return of_rows(task, rows, folder, cache, prompt, told=told, folders=folders, unreadable=unreadable)


def of_rows(
    task: Task,
    rows: Collection[Mapping[str, Any]],
    folder: Path,
    cache: FrameCache | None = None,
    prompt: PromptSource = "default",
    *,
    told: Subtitles = False,
    folders: Sequence[Path] = (),
    unreadable: Sequence[str] = (),
) -> Dataset:
    """The same for rows that are read already; `unreadable` says of others why they are not among them."""
    if not rows:
        raise ViubenchError(f"{task.task}: no rows are left", where=str(folder), hint="see rows.keep in the task")
    if told:
        subtitles.require(task)
    reader = _RowReader(task, folder, cache, prompt, told)
    if folders:
        reader.find_videos(rows, folders)
    samples: list[Sample] = []
    faults: list[str] = list(unreadable)
    skips = reader.own
    for row in rows:
        try:
            samples.append(reader.sample(row))
        except ValueError as error:
            faults.append(f"{row_files.place(row)}: {error}")
        except ViubenchError as error:
            where = "; ".join(filter(None, (row_files.place(row), error.where)))
            if skips:
                faults.append(f"{row_files.place(row)}: {error.message.removeprefix('answer: ')}")
                continue
            message = error.message if error.message.startswith(task.task) else f"{task.task}: {error.message}"
            raise ViubenchError(message, where=where, hint=error.hint) from None
    total = len(rows) + len(unreadable)
    said = f"{len(faults)} of {total} rows cannot be read; {'; '.join(faults[:SHOWN_FAULTS])}"
    if faults and not (skips and 2 * len(faults) <= total):
        hint = "correct the template, or leave such rows out with rows.keep"
        if skips:
            hint = "correct the rows, or say what the columns mean: --columns, --answer-kind"
        raise ViubenchError(f"{task.task}: {said}", where=str(folder), hint=hint)
    expected = task.rows.expected if task.rows else None
    notes = [f"{task.task}: {said}; they are left out"] if faults else []
    if expected not in (None, len(samples)):
        notes.append(f"{task.task}: {len(samples)} rows, but the published set has {expected}")
    notes += [
        f"{task.task}: {len(names)} of {len(samples)} samples {lack} (the first: {names[0]})"
        for names, lack in reader.lacks()
        if names
    ]
    files = frozenset(name for (name, _), lines in reader.lines_of.items() if lines)
    revision = local_manifest.revision(task, folder)
    return Dataset({task.task: task}, samples, reader.root, notes=tuple(notes), subtitles=files, revision=revision)


@dataclass
class _RowReader:
    """What all rows of a task share on their way to samples."""

    task: Task
    folder: Path
    cache: FrameCache | None
    prompt: PromptSource
    told: Subtitles = False
    ids: dict[str, int] = field(default_factory=dict)
    clip_of: dict[str, Clip] = field(default_factory=dict)
    lines_of: dict[tuple[str, float], list[subtitles.Line]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)  # why files of subtitles cannot be read
    silent: list[str] = field(default_factory=list)  # files of subtitles that are not there, one a sample
    unmeasured: list[str] = field(default_factory=list)  # videos of unknown length, one a sample
    reversed: list[str] = field(default_factory=list)  # places of rows with a reversed interval
    once: dict[Any, Any] = field(default_factory=dict)  # what many samples have alike
    unread: list[str] = field(default_factory=list)  # files that are there and cannot be read, and why; one a sample
    doubts: dict[str, list[str]] = field(default_factory=dict)  # what may be wrong with questions, and with which

    def __post_init__(self) -> None:
        self.evaluator: Evaluator = evaluators.get(self.task.evaluator.name, **self.task.evaluator.params)
        if self.task.video is None:
            raise ViubenchError(f"{self.task.task} does not say where its videos are", hint="add: video: {path: ...}")
        self.video: VideoSpec = self.task.video
        self.own = self.task.rows is not None and self.task.rows.bad_rows == "skip"  # nobody has looked them through
        self.root = self.folder  # the videos' own

    def find_videos(self, rows: Iterable[Mapping[str, Any]], folders: Sequence[Path]) -> None:
        """Look for the videos of all rows in these folders: the root is above all of them."""
        names: list[str] = []
        for row in rows:
            with suppress(ViubenchError, ValueError):  # said when the row's turn comes
                names += self.names(row)
        places = video_places.find(names, folders, self.video)
        self.root = places.root
        self.clip_of = {name: Clip(path=path) for name, path in places.paths.items()}

    def sample(self, row: Mapping[str, Any]) -> Sample:
        """One row; ValueError when its answer or options make no sense, ViubenchError for a field that is not there."""
        task = self.task
        row = self.ordered(row) if task.evaluator.name == "temporal_iou" else row
        names, clips = self.clips(row)
        if self.own:
            doubts.refuse_marks(row, len(clips))
        question, options = self.question(row)
        given = templating.value(task.answer, row, what="answer")
        target = self.target(given, options)
        if self.own and options is not None and (doubt := doubts.of(options, target)):
            self.doubts.setdefault(doubt, []).append(row_files.place(row))
        cluster = templating.text(task.cluster, row, what="cluster") if task.cluster else clips[0].path or str(clips[0])
        params = {key: templating.value(template, row, what=f"params.{key}") for key, template in task.params.items()}
        if options is not None:
            lettered = self.shared(options.letters, lambda letters: {"letters": list(letters)})
            params = params | lettered if params else lettered
        if task.evaluator.name == "temporal_iou":
            if (seconds := self.duration(row, clips[0])) is None:
                self.unmeasured.append(clips[0].path)
            else:
                shown = clips[0].start or 0.0, seconds if clips[0].end is None else min(clips[0].end, seconds)
                # A part behind the end is no part: decoding tells.
                params = params | {"times": list(shown) if shown[0] < shown[1] else [0.0, seconds]}
        asked = self.prompt_text(row, question, options, len(clips))
        asked, clips = self.with_subtitles(row, asked, clips) if self.told else (asked, clips)
        return Sample(
            id=self.name(row, [question, given, names]),
            task=task.task,
            cluster=self.shared(cluster, str),
            clips=clips,
            question=asked,
            target=target,
            answer_text=self.evaluator.canonical(target),
            options=options.texts if options else (),
            params=params,
            groups=self.shared(tuple(self.groups(row).items()), dict),
        )

    def shared(self, key: Any, make: Callable[[Any], Any]) -> Any:
        """`make(key)`, made once: of a million samples most have the same few letters, videos and groups."""
        if key not in self.once:
            self.once[key] = make(key)
        return self.once[key]

    def lacks(self) -> Iterable[tuple[list[str], str]]:
        """What a user should know of samples: one place or file each, and what they have or lack."""
        return (
            (self.silent, "have no subtitles"),
            (self.unread, "have subtitles that cannot be read"),
            (self.reversed, "have a true interval that ends before it starts; its ends were put in order"),
            (self.unmeasured, "have videos of unknown length, so there is no chance and no blind score"),
            *((places, doubt) for doubt, places in self.doubts.items()),
        )

    def question(self, row: Mapping[str, Any]) -> tuple[str, choices.Choices | None]:
        """The question without its choices, and the choices where the task has them."""
        question = templating.text(self.task.question, row, what="question").strip()
        if self.own and not question:
            raise ValueError("its question is empty")
        if not self.task.options:
            if "choice" in self.task.evaluator.name:
                message = f"{self.task.task} is multiple choice but names no options"
                raise ViubenchError(message, hint="add: options: ...")
            return question, None
        given = templating.value(self.task.options, row, what="options")
        if not isinstance(given, str):
            return question, choices.of([option for option in given or () if option is not None])
        stem, options = choices.split_inline(given)
        return stem if question == given.strip() else question, options

    def target(self, given: Any, options: choices.Choices | None) -> Any:
        """The true answer in the evaluator's form; ValueError when it is none."""
        if options is not None:
            if not isinstance(given, str):
                raise ValueError(f"the answer {given!r} is no text: write a letter or an option's text")
            return options.letter(given)
        if isinstance(given, str):
            return self.evaluator.target(given)
        if isinstance(given, dict):
            self.evaluator.canonical(given)  # refuses what is not in the evaluator's form
            return given
        target = [list(part) if isinstance(part, list | tuple) else part for part in given]
        self.evaluator.canonical(target)  # refuses what is not in the evaluator's form
        return target

    def prompt_text(self, row: Mapping[str, Any], question: str, options: choices.Choices | None, videos: int) -> str:
        if self.prompt == "published":
            from viubench.datasets import published_prompts

            return published_prompts.prompt(self.task, row, videos)
        lines = options.lines() if options else ""
        if self.task.prompt.default:
            known = {**row, "question": question, "options": lines}
            return prompts.marks(videos) + templating.text(self.task.prompt.default, known, what="prompt.default")
        return prompts.default(self.task.evaluator.name, question, lines, videos)

    def with_subtitles(
        self, row: Mapping[str, Any], question: str, clips: tuple[Clip, ...]
    ) -> tuple[str, tuple[Clip, ...]]:
        """The question with what is said in its video, and the video, in parts where the two are interleaved."""
        clip, lines = clips[0], self.lines(row)
        if self.told == "interleaved" and lines and len(clips) == 1:
            end = self.duration(row, clip) if clip.end is None else clip.end
            if end is not None:  # a video that cannot be opened is reported by the run
                spans = subtitles.parts(clip.start or 0.0, end)
                parts = tuple(clip.model_copy(update={"start": start, "end": until}) for start, until in spans)
                return subtitles.interleaved(question, lines, spans), parts
        return subtitles.told(question, lines, clip.start, clip.end), clips

    def lines(self, row: Mapping[str, Any]) -> list[subtitles.Line]:
        """The subtitles of a row's video; none where there are none, or they cannot be read, which is remembered."""
        name = templating.text(self.video.subtitles, row, what="video.subtitles").strip()
        shift = templating.value(self.video.subtitles_start, row, what="video.subtitles_start") or 0.0
        key = (name, float(shift))
        if key not in self.lines_of:
            self.lines_of[key] = []
            try:
                self.lines_of[key] = subtitles.read(paths.resolve(self.folder, name), key[1]) if name else []
            except (MediaError, OSError, ValueError) as error:
                if not (isinstance(error, MediaError) and error.fault == "missing"):
                    self.faults[name] = str(getattr(error, "strerror", None) or error).removeprefix(f"{name}: ")
        if name in self.faults:
            self.unread.append(f"{name}: {self.faults[name]}")
        elif not self.lines_of[key]:
            self.silent.append(name)
        return self.lines_of[key]

    def groups(self, row: Mapping[str, Any]) -> Groups:
        values = {key: templating.value(text, row, what=f"group_by.{key}") for key, text in self.task.group_by.items()}
        return {
            key: tuple(map(str, value)) if isinstance(value, list | tuple) else str(value)
            for key, value in values.items()
        }

    def name(self, row: Mapping[str, Any], content: Any) -> str:
        """The task's name and the row's own id, or a hash of the question; a number keeps equal ones distinct."""
        own = templating.text(self.task.id, row, what="id") if self.task.id else content_hash(content)
        name = f"{self.task.task}-{own}"
        count = self.ids[name] = self.ids.get(name, 0) + 1
        return name if count == 1 else f"{name}-{count}"

    def clips(self, row: Mapping[str, Any]) -> tuple[list[str], tuple[Clip, ...]]:
        """The videos as the row names them, with its bounds and frames, and as they lie on disk."""
        given = self.names(row)
        bounds: dict[str, Any] = {}
        for key, template in (("start", self.video.start), ("end", self.video.end)):
            if template:
                value = templating.value(template, row, what=f"video.{key}")
                bounds[key] = None if value is None or value == "" else float(value)
        chosen = {"frames": self.numbers(row, "frames"), "times": self.numbers(row, "times")}
        if any(chosen.values()):
            if len(given) > 1:
                raise ValueError("the row chooses frames of several videos")
            bounds |= {"frames": tuple(map(_whole, chosen["frames"])), "times": tuple(chosen["times"])}
        clips = tuple(self.located(name) for name in given)
        if bounds:
            clips = tuple(clip.model_copy(update=bounds) for clip in clips)
        return [*(name.strip() for name in given), *map(str, bounds.values())], clips

    def names(self, row: Mapping[str, Any]) -> list[str]:
        """The videos as the row names them; ValueError where it names none."""
        templates = [self.video.path] if isinstance(self.video.path, str) else self.video.path
        values = [templating.value(template, row, what="video.path") for template in templates]
        if len(values) == 1 and isinstance(values[0], list):
            values = values[0]
        given = [str(value) for value in values if value is not None and str(value).strip()]
        if not given:
            raise ValueError("the row names no video")
        if max(map(len, given)) > MAX_PATH:
            raise ValueError("the row holds a video itself, not its path: write it to a file, and name that in the row")
        return given

    def numbers(self, row: Mapping[str, Any], key: str) -> list[float]:
        """The frames or times that the row chooses, in order and each once; none where it chooses none."""
        template = getattr(self.video, key)
        value = templating.value(template, row, what=f"video.{key}") if template else None
        return [] if value is None or value == "" else sorted(set(cells.numbers(value)))

    def located(self, name: str) -> Clip:
        """The clip a name stands for: the first file or folder of frames that is there, else the name in its root."""
        if name not in self.clip_of:
            candidates = [
                "/".join(part for part in (root.strip("/"), spelled + extension) if part)
                for spelled in dict.fromkeys((name.strip(), name))
                for root in self.video.roots
                for extension in ("", *self.video.extensions)
            ]
            there = [path for path in candidates if os.path.exists(self.root / path)]
            files = [path for path in there if (self.root / path).is_file()]
            if there and not files and self.video.frame_fps:
                self.clip_of[name] = _frames(self.root, there[0], self.video.frame_fps)
            else:  # a missing one is reported under the first path with one of the extensions
                likely = [path for path in candidates if path.endswith(tuple(self.video.extensions) or "")]
                self.clip_of[name] = Clip(path=[*files, *likely, *candidates][0])
        return self.clip_of[name]

    def duration(self, row: Mapping[str, Any], clip: Clip) -> float | None:
        """Seconds an interval is measured against: the row's, else the video's; None where neither says it."""
        known = templating.value(self.video.duration, row, what="video.duration") if self.video.duration else None
        if known is not None:
            return float(known)
        if self.cache is not None:
            try:
                return float(self.cache.probe(clip, self.root).duration)
            except MediaError:
                pass  # the run reports it and counts the sample as wrong
        return None

    def ordered(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row with each true interval's start before its end; one that the data reverse is remembered."""
        windows = row.get("relevant_windows")
        if not isinstance(windows, list) or not any(_is_reversed(window) for window in windows):
            return row
        self.reversed.append(row_files.place(dict(row)))
        return {**row, "relevant_windows": [sorted(window) if _is_reversed(window) else window for window in windows]}


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError(f"{number:g} is no frame number; name the column of times for times in seconds")
    return int(number)


def _is_reversed(window: Any) -> bool:
    ends = window if isinstance(window, list | tuple) and len(window) == 2 else (0, 0)
    return all(isinstance(end, int | float) for end in ends) and ends[0] > ends[1]


def _frames(folder: Path, name: str, fps: float) -> Clip:
    """A folder of numbered pictures as a clip, in the order of their numbers."""
    pictures = [path for path in (folder / name).iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    pictures.sort(key=lambda path: (len(path.stem), path.stem))
    if not pictures:
        return Clip(path=name)
    return Clip(frame_files=tuple(f"{name}/{path.name}" for path in pictures), frame_fps=fps)
