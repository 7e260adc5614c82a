"""`--probe no-times`: nothing that is sent tells when a frame was shown, and a prompt that tells it is no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_server import Body, Reply, Serve, completion, fine

import viubench
from viubench.engines import prompts, tiny_checkpoints
from viubench.engines.families import FAMILIES
from viubench.engines.prompts import Showing
from viubench.engines.sight import Processed, wrong_times
from viubench.engines.vllm.prompt import as_prompt
from viubench.errors import ViubenchError
from viubench.video.frames import VideoInput
from viubench.video.timestamps import STAMP


def video(frames: int = 4) -> VideoInput:
    pixels = np.zeros((frames, 32, 32, 3), np.uint8)
    times = tuple(1.5 + 2.5 * number for number in range(frames))
    return VideoInput(pixels, 2.0, tuple(range(3, 3 + 5 * frames, 5)), times, 110, 55.0)


@pytest.fixture
def questions(clips: Path, tmp_path: Path) -> dict[str, Any]:
    """Two questions about clips, and how they are asked."""
    rows = [
        {"id": f"q{n}", "video": f"clip-{n:02d}.mp4", "question": "What passes?", "options": ["a car", "a bus"],
         "answer": "A"}
        for n in range(2)
    ]  # fmt: skip
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"tasks": path, "videos": clips, "frames": 4, "max_pixels": 4096, "frame_cache": tmp_path / "cache"}


def sent(served: Any) -> list[list[Body]]:
    """The parts of the questions that were asked, by what they show; not those of the proof of sight."""
    asked = [body["messages"][-1]["content"] for body in served.chats()]
    whole = [parts for parts in asked if len(pictures(parts)) == 4]
    return sorted(whole, key=lambda parts: str(pictures(parts)))


def pictures(parts: list[Body]) -> list[Body]:
    return [part for part in parts if part["type"] == "image_url"]


def test_a_server_is_sent_the_same_pictures_without_times(
    serve: Serve, questions: dict[str, Any], tmp_path: Path
) -> None:
    def answer(path: str, body: Body) -> Reply:
        return 200, {}, completion(body, "A")

    bodies: dict[str, list[list[Body]]] = {}
    for probe in ("none", "no-times"):
        served = serve(answer, owner="someone")
        run = viubench.evaluate(engine="server", base_url=served.url, probe=probe, out=tmp_path / probe, **questions)
        assert [record.status for record in run.records] == ["ok", "ok"]
        assert {record.shown.times for record in run.records if record.shown} == {
            "prompt" if probe == "none" else "none"
        }
        bodies[probe] = sent(served)
    for timed, untimed in zip(bodies["none"], bodies["no-times"], strict=True):
        stamps = [part for part in timed if part["type"] == "text" and STAMP.fullmatch(part["text"])]
        assert len(stamps) == 4
        assert [part for part in timed if part not in stamps] == untimed
        assert not any("seconds" in part.get("text", "") for part in untimed)


def test_a_server_that_writes_the_times_itself_is_refused(serve: Serve, questions: dict[str, Any]) -> None:
    served = serve(fine, owner="vllm")
    given = {"engine": "server", "base_url": served.url, "probe": "no-times", **questions}
    with pytest.raises(ViubenchError, match="own processor writes the times"):
        viubench.evaluate(**given)
    assert not served.chats()
    viubench.evaluate(**given, engine_args={"transport": "images"})
    assert len(sent(served)) == 2


@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3"])
def test_a_prompt_of_vllm_holds_no_times(family: str, tmp_path: Path) -> None:
    """Of a model that is told times in words before a video, and of one that has them before each picture."""
    transformers = pytest.importorskip("transformers")
    tiny_checkpoints.write(tmp_path / "tiny", family=family)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "tiny")
    row, clip = FAMILIES[family], video()
    shown = Showing.of(row, "vllm")
    texts = {
        times: as_prompt(processor, "<video>\nWhen?", [clip], ["a"], family=row, showing=shown.asked(times))
        for times in (True, False)
    }
    told = prompts.sentences([clip]) if shown.words else [prompts.stamp(time) for time in clip.times]
    timed = texts[True]["prompt"]
    for words in told:
        assert words in timed
        timed = timed.replace(words + "\n" * shown.words, "")
    assert texts[False]["prompt"] == timed
    assert texts[True]["multi_modal_uuids"] == texts[False]["multi_modal_uuids"]


def test_a_prompt_that_tells_them_all_the_same_is_found() -> None:
    family, clip = FAMILIES["qwen2_vl"], video()
    shown = Showing.of(family, "hf").asked(times=False)
    stamps = " ".join(prompts.stamp(time) for time in clip.times)
    for text in (stamps, "When?\n" + prompts.sentences([clip])[0].replace(" at ", "\nat ")):
        assert wrong_times(Processed(text, 1, ()), [clip], family, shown, 2) is not None
    assert wrong_times(Processed("Who came after <4.0 seconds>?", 1, ()), [clip], family, shown, 2) is None
