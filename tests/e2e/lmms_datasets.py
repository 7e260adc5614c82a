"""Data of four real lmms-eval tasks as their code expects them: rows in a folder named like the data set, clips where
`doc_to_visual` looks. The rows are invented, in the publishers' schemas; nothing of lmms-eval is changed.

Example:
    write(Path("world"), Path("clips"))
    subprocess.run([...], cwd="world", env=os.environ | environment("world"))
"""

from __future__ import annotations

import json
import os
from pathlib import Path

TASKS = ("videomme", "mvbench_action_antonym", "temporal_grounding_charades", "mlvu_dev")
PLACES = {
    "videomme/data": "v{}.mp4",
    "mvbench_video/ssv2_video_mp4": "{}.mp4",
    "charades_sta/Charades_v1_480": "C{}.mp4",
    "mlvu": "m{}.mp4",
}
CLIPS = 3
MISSING = "C2.mp4"
"""A clip that is not there: lmms-eval would end the process."""


def environment(folder: Path) -> dict[str, str]:
    """What lmms-eval, run in `folder`, must find in its environment."""
    return {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def write(folder: Path, clips: Path) -> None:
    """Write the data to `folder`, a new one."""
    sources = sorted(clips.glob("*.mp4"))[:CLIPS]
    for place, name in PLACES.items():
        home = folder / "hf" / place
        home.mkdir(parents=True)
        for number, source in enumerate(sources):
            if name.format(number) != MISSING:
                os.symlink(source, home / name.format(number))
    _rows(folder / "lmms-eval/Video-MME/test.jsonl", [_videomme(number) for number in range(7)])
    _rows(folder / "OpenGVLab/MVBench/json/action_antonym.jsonl", [_mvbench(number) for number in range(6)])
    _rows(folder / "lmms-eval/charades_sta/test.jsonl", [_charades(number) for number in range(6)])
    _rows(folder / "sy1998/MLVU_dev/test.jsonl", [_mlvu(number) for number in range(8)])
    configs = (
        "configs:\n- config_name: action_antonym\n  data_files:\n  - split: train\n    path: json/action_antonym.jsonl"
    )
    (folder / "OpenGVLab/MVBench/README.md").write_text(f"---\n{configs}\n---\n")


def _videomme(number: int) -> dict[str, object]:
    return {
        "videoID": f"v{number % CLIPS}",
        "video_id": f"{number % CLIPS:03d}",
        "question_id": f"{number:03d}-1",
        "question": f"What passes the house number {number}?",
        "options": ["A. A cart.", "B. A boat.", "C. A bird.", "D. Nothing."],
        "answer": "ABCD"[number % 4],
        "duration": ("short", "long")[number % 2],
        "domain": ("Knowledge", "Multilingual")[number % 2],
        "sub_category": "Geography",
        "task_type": "Counting Problem",
    }


def _mvbench(number: int) -> dict[str, object]:
    candidates = ["drifting left", "drifting right", "not sure"]
    return {
        "video": f"{number % CLIPS}.mp4",
        "question": f"How does shape {number} move?",
        "candidates": candidates,
        "answer": candidates[number % 3],
    }


def _charades(number: int) -> dict[str, object]:
    return {
        "video": f"C{number % CLIPS}.mp4",
        "caption": f"shape {number} crosses the ridge",
        "timestamp": [0.5 * number, 0.5 * number + 3.0],
    }


def _mlvu(number: int) -> dict[str, object]:
    return {
        "video_name": f"m{number % CLIPS}.mp4",
        "question": f"Which shape comes {number} times?\n(A) a disc\n(B) a ring\n(C) a cross\n(D) none",
        "answer": "ABCD"[number % 4],
        "task_type": ("count", "needle", "order")[number % 3],
    }


def _rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
