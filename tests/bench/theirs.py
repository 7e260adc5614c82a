"""lmms-eval's side of a contest: its own vLLM models answer through `generate_until`, as its evaluator calls them.

Example:
    >>> [one.name for one in passes(work)]     # doctest: +SKIP
    ['cold', 'warm']
"""

from __future__ import annotations

import os
from typing import Any

from tests.bench.contestant import AT_ONCE, Pass, Work, engine_settings, timed


def passes(work: Work) -> list[Pass]:
    """The same questions twice, after one about another clip."""
    os.environ.setdefault("FORCE_QWENVL_VIDEO_READER", "decord")  # torchcodec needs FFmpeg's libraries
    from lmms_eval.models import get_model

    model = get_model(work.side)(
        model=work.model,
        batch_size=AT_ONCE,  # questions that it hands to vLLM together
        nframes=work.frames,
        max_pixels=work.pixels,
        max_new_tokens=work.tokens,
        trust_remote_code=False,
        limit_mm_per_prompt={"video": 1, "image": work.frames},
        **({"is_qwen3_vl": True} if work.side == "vllm" else {}),
        **engine_settings(),
    )
    docs = [{"video": clip, "question": question} for clip, question in work.asked()]
    model.task_dict["bench"] = {"test": [*docs, {"video": work.warm_up, "question": work.questions[0]}]}
    model.generate_until([_request(len(docs), work)])
    found = []
    for name in ("cold", "warm"):
        with timed(name) as one:
            answers = model.generate_until([_request(number, work) for number in range(len(docs))])
        one.answers = [getattr(answer, "text", answer) for answer in answers]
        found.append(one)
    return found


def _request(number: int, work: Work) -> Any:
    from lmms_eval.api.instance import Instance

    how = {"max_new_tokens": work.tokens, "temperature": 0, "do_sample": False}
    return Instance(
        request_type="generate_until",
        arguments=("", _messages, how, number, "bench", "test"),
        idx=0,
        metadata={"task": "bench", "doc_id": number, "repeats": 1},
    )


def _messages(doc: dict[str, str]) -> list[dict[str, Any]]:
    content = [{"type": "video", "url": doc["video"]}, {"type": "text", "text": doc["question"]}]
    return [{"role": "user", "content": content}]
