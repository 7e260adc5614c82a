"""Which column of a table means what, by the names that people use; the user's own word goes before them.

Example:
    >>> found = recognise(["clip", "query", "A", "B", "gold"], {})
    >>> found.one("video"), found.options, found.several("answer")
    ('clip', ('A', 'B'), ['gold'])
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase

from viubench.errors import ViubenchError, did_you_mean

NAMES: dict[str, tuple[str, ...]] = {
    "video": (
        "video_path", "video_file", "video_filename", "video_file_name", "video_name", "video", "videos", "videopath",
        "videofile", "videoname", "clip_path", "clip_file", "clip_name", "clip", "media_path", "media", "movie",
        "vid_path", "file_path", "filepath", "file_name", "filename", "file", "path", "video_id", "videoid",
        "video_uid", "clip_id", "vid", "vid_name", "vid_id", "video_url", "uri", "source_video", "src",
        "vidéo", "vídeo", "видео", "视频", "视频路径", "视频文件", "影片", "動画", "비디오", "영상",
    ),
    "question": (
        "question", "question_text", "query", "prompt", "q", "instruction", "problem", "question_content", "text",
        "input", "user", "caption", "sentence", "description", "event", "phrase", "frage", "pregunta",
        "pergunta", "domanda", "вопрос", "问题", "問題", "質問", "질문",
    ),
    "options": (
        "options", "choices", "candidates", "answer_choices", "answer_options", "candidate_answers", "multi_choice",
        "multiple_choice", "mc_options", "mc_choices", "option", "choice", "alternatives", "possible_answers",
        "answers", "options_list", "option_list", "choice_list", "optionen", "opciones",
        "opções", "opzioni", "варианты", "选项", "選項", "選択肢", "선택지",
    ),
    "answer": (
        "answer", "correct_answer", "ground_truth", "groundtruth", "gt", "gt_answer", "gold", "gold_answer", "label",
        "target", "truth", "true_answer", "correct", "correct_option", "correct_choice", "right_answer", "solution",
        "answer_key", "key", "ans", "reference", "reference_answer", "answer_letter", "correct_letter", "answer_option",
        "answer_text", "correct_answer_text", "answer_idx", "answer_index", "answer_id", "answer_number", "correct_idx",
        "correct_index", "correct_answer_index", "correct_answer_idx", "correct_option_index", "correct_choice_index",
        "label_idx", "label_index", "gt_idx", "gt_index", "answers", "expected", "expected_answer", "output", "a",
        "antwort", "richtige_antwort", "korrekte_antwort", "réponse", "bonne_réponse", "réponse_correcte", "respuesta",
        "respuesta_correcta", "resposta", "resposta_correta", "resposta_certa", "risposta", "risposta_corretta",
        "risposta_esatta", "ответ", "правильный_ответ", "答案", "正确答案", "正確答案", "正解", "回答", "정답", "답",
    ),
    "interval": (
        "window", "windows", "relevant_windows", "gt_window", "gt_windows", "interval", "intervals", "span", "spans",
        "segment", "segments", "moment", "moments", "gt_timestamps", "gt_span", "timestamp", "timestamps", "time_span",
        "time_range", "answer_window", "answer_interval", "answer_span",
    ),
    "id": (
        "id", "question_id", "qid", "q_id", "uid", "sample_id", "item_id", "example_id", "idx", "index", "questionid",
        "qa_id", "unique_id", "key_id",
    ),
    "frames": (
        "frames", "frame_indices", "frame_idx", "frame_idxs", "frame_ids", "frame_index", "frame_numbers",
        "selected_frames", "selected_frame_indices", "keyframes", "key_frames", "keyframe_indices", "sampled_frames",
        "indices",
    ),
    "times": (
        "times", "frame_times", "frame_timestamps", "selected_times", "selected_timestamps", "keyframe_times",
        "frame_seconds", "timestamps",
    ),
    "duration": ("duration", "video_duration", "duration_s", "duration_sec", "duration_seconds", "video_length"),
}  # fmt: skip
"""Meaning -> names of columns, the likelier ones first; they are compared without case, spaces and punctuation."""

GROUPS = (
    "category", "categories", "type", "question_type", "qtype", "task", "task_type", "sub_category", "subcategory",
    "domain", "sub_domain", "subject", "topic", "difficulty", "level", "skill", "capability", "dimension",
)  # fmt: skip
"""Columns that scores are broken down by."""

ANSWER_ENDS = ("answer", "gt", "gold", "target", "moment", "event", "true", "label")
CLIP_ENDS = ("clip", "video", "segment", "trim", "window")
STARTS, ENDS = ("start", "begin", "from"), ("end", "stop", "finish", "to")
KEYS = ("video", "question", "options", "answer", "start", "end", "frames", "times", "id", "duration")
"""What `--columns` may name."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SIGNS = re.compile(r"[^\w]+|_+")
_UNIT = re.compile(r"_(?:time|times|s|sec|secs|second|seconds|ts|timestamp)$")
_TIME = re.compile(r"^(?:time|ts|t)_")
_MARKED = re.compile(
    r"(?:(option|opt|choice|candidate|answer|ans|a|o|c|antwort|réponse|opción|respuesta|opção|resposta|"
    r"opzione|risposta|вариант|ответ|选项|選項|選択肢|선택지)s?_?)?([a-z]|\d{1,2})"
)


_WRONG = re.compile(
    r"(?:distractor|foil|(?:wrong|incorrect|false|negative)(?:_(?:answer|option|choice|candidate))?)s?(?:_?([a-z]|\d{1,2}))?"
)
"""A column of one wrong option, or of a list of them."""


def plain(name: str) -> str:
    """A column's name in lower case with underscores: "Video Path" and "videoPath" are "video_path"."""
    name = unicodedata.normalize("NFKC", name).strip()
    return _SIGNS.sub("_", _CAMEL.sub("_", name)).strip("_").casefold()


@dataclass(frozen=True)
class Columns:
    """Columns by meaning, best first. `options` are columns of one option each, `marks` are what their names count with
    ("a", "b" or "0", "1"), `wrong` hold wrong options alone; `answer_ends` and `clip_ends` are pairs of columns;
    `given` is what the user said."""

    found: Mapping[str, list[str]]
    options: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    answer_ends: tuple[str, str] | None = None
    clip_ends: tuple[str, str] | None = None
    given: Mapping[str, str] = field(default_factory=dict)

    def several(self, meaning: str) -> list[str]:
        return self.found.get(meaning, [])

    def one(self, meaning: str) -> str:
        """The best column of a meaning, "" where there is none."""
        return next(iter(self.several(meaning)), "")


def recognise(names: Sequence[str], given: Mapping[str, str]) -> Columns:
    """The meaning of columns; `given` maps meanings (see `KEYS`) to columns, "" for none; several options or the two
    ends of an answer are separated by commas. Raises ViubenchError for a meaning or a column that does not exist."""
    named = {meaning: _named(meaning, text, names) for meaning, text in given.items()}
    taken = {name for some in named.values() for name in some}
    alike: dict[str, list[str]] = {}  # video_id and videoID may stand in one table
    for name in names:
        if name not in taken:
            alike.setdefault(plain(name), []).append(name)
    if "b" in alike:
        alike.pop("a", None)  # an option
    free = {name: columns[0] for name, columns in alike.items()}
    found = {
        meaning: named.get(meaning, [column for name in likely for column in alike.get(name, ())])
        for meaning, likely in NAMES.items()
    }
    columns, marks = _one_each([name for name in names if name not in taken])
    if "options" in named:
        several = len(named["options"]) > 1
        columns, marks = (tuple(named["options"]), ()) if several else ((), ())
        found["options"] = [] if several else named["options"]
    wrong = () if "options" in named else tuple(name for name in names if name not in taken and _is_wrong(name))
    answer_ends = _ends(free, ANSWER_ENDS)
    if len(named.get("answer", ())) == 2:
        answer_ends, found["answer"] = (named["answer"][0], named["answer"][1]), []
    if "start" in named or "end" in named:
        clip_ends = ("".join(named.get("start", ())), "".join(named.get("end", ())))
        return Columns(found, columns, wrong, marks, answer_ends, clip_ends, given)
    clip_ends = _ends(free, (*CLIP_ENDS, "")) or (free.get("start", ""), free.get("end", ""))
    return Columns(found, columns, wrong, marks, answer_ends, clip_ends if any(clip_ends) else None, given)


def _named(meaning: str, text: str, names: Sequence[str]) -> list[str]:
    """The columns that the user names for a meaning."""
    if meaning not in KEYS:
        raise ViubenchError(
            f"{meaning!r} is no meaning of a column", where="--columns", hint=f"one of {', '.join(KEYS)}"
        )
    if text in names:
        return [text]
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    for name in chosen:
        if name not in names:
            hint = did_you_mean(name, names, f"there are: {', '.join(names)}", "{!r}")
            raise ViubenchError(f"no column is named {name!r}", where=f"--columns {meaning}=...", hint=hint)
    if len(chosen) > (len(names) if meaning == "options" else 2 if meaning == "answer" else 1):
        raise ViubenchError(f"several columns for {meaning}", where=f"--columns {meaning}={text}")
    return chosen


def _is_wrong(name: str) -> bool:
    return _WRONG.fullmatch(plain(name)) is not None


def _one_each(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that hold one option each, in the order of their letters or numbers, and those; of several such
    rows of columns the longest."""
    runs: dict[str, dict[str, str]] = {}
    for name in names:
        if match := _MARKED.fullmatch(plain(name)):
            runs.setdefault(match[1] or "", {})[match[2]] = name
    best: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    for prefix, marks in runs.items():
        for wanted in (list(ascii_lowercase), [str(n) for n in range(50)], [str(n) for n in range(1, 50)]):
            run = []
            for mark in wanted:
                if mark not in marks:
                    break
                run.append(mark)
            if len(run) >= max(2, len(best[0]) + 1) and (prefix or not run[0].isdigit()):
                best = (tuple(marks[mark] for mark in run), tuple(run))
    return best


def _ends(free: Mapping[str, str], prefixes: Sequence[str]) -> tuple[str, str] | None:
    """Two columns that hold the ends of a part of the video."""
    bare = {_TIME.sub("", _UNIT.sub("", name)): column for name, column in reversed(list(free.items()))}
    for prefix in prefixes:
        for start, end in zip((*STARTS, "start"), (*ENDS, "stop"), strict=False):
            for one, other in ((f"{prefix}_{start}", f"{prefix}_{end}"), (f"{start}_{prefix}", f"{end}_{prefix}")):
                first, last = bare.get(one.strip("_")), bare.get(other.strip("_"))
                if first and last:
                    return first, last
    return None
