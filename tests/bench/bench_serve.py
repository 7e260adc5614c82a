"""vLLM's benchmark of its own server as a side of a contest: `vllm bench serve` asks the same questions.

Example:
    >>> [one.name for one in passes(work)]     # doctest: +SKIP
    ['cold', 'warm']

It runs in this process with the options of its command line and its "custom" data set, whose prompts are messages that
name the clips; the clock stands around its measured part, which begins when the data set has been read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from tests.bench.contestant import AT_ONCE, Pass, Work, timed
from tests.bench.served import NAME, Server, messages, serving
from viubench.errors import ViubenchError


def passes(work: Work) -> list[Pass]:
    """The same questions twice, after one about another clip."""
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as scratch, serving(work, Path(scratch)) as server:
        data = Path(scratch) / "questions.jsonl"
        _write(data, [(work.warm_up, work.questions[0])])
        _asked("warm-up", data, server, work.tokens)
        _write(data, work.asked())
        return [_asked(name, data, server, work.tokens) for name in ("cold", "warm")]


def _write(data: Path, pairs: Iterable[tuple[str, str]]) -> None:
    lines = [json.dumps({"prompt": messages(clip, question)}) for clip, question in pairs]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")


def options(data: Path, server: Server, tokens: int) -> list[str]:
    """Words of the command line. Without a tokenizer it takes prompts for messages, and no length from the data."""
    length = json.dumps({"max_completion_tokens": tokens})
    return [
        *("--backend", "openai-chat", "--base-url", server.url.removesuffix("/v1")),
        *("--endpoint", "/v1/chat/completions", "--model", NAME, "--served-model-name", NAME, "--skip-tokenizer-init"),
        *("--dataset-name", "custom", "--dataset-path", str(data), "--disable-shuffle", "--num-prompts", "0"),
        *("--extra-body", length, "--temperature", "0", "--max-concurrency", str(AT_ONCE)),
        *("--ready-check-timeout-sec", "0", "--save-detailed", "--disable-tqdm"),
    ]


def _asked(name: str, data: Path, server: Server, tokens: int) -> Pass:
    from vllm.benchmarks import serve
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser, measured = FlexibleArgumentParser(), serve.benchmark
    serve.add_cli_args(parser)
    clocked: list[Pass] = []

    async def benchmark(**how: Any) -> Any:
        with timed(name) as one:
            result = await measured(**how)
        clocked.append(one)
        return result

    with mock.patch.object(serve, "benchmark", benchmark):
        result = serve.main(parser.parse_args(options(data, server, tokens)))
    if result["failed"]:
        raise ViubenchError(f"{result['failed']} questions failed: {next(filter(None, result['errors']))[-300:]}")
    clocked[0].answers, clocked[0].vision = result["generated_texts"], server.vision()
    return clocked[0]
