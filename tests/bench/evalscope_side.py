"""evalscope as a side of a contest: its benchmark of one's own questions asks vLLM's server, as its users do.

Example:
    >>> [one.name for one in passes(work)]     # doctest: +SKIP
    ['cold', 'warm']

evalscope sends the whole file with every question, and the server takes the frames. It runs in a Python of its own
(`--evalscope`), since its packages need not go with ours: `evalscope_client` there says when the questions begin.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.bench.contestant import AT_ONCE, Pass, Work, timed
from tests.bench.served import NAME, Server, serving
from viubench.errors import ViubenchError

CLIENT = Path(__file__).with_name("evalscope_client.py")


def passes(work: Work) -> list[Pass]:
    """The same questions twice, after one about another clip."""
    with tempfile.TemporaryDirectory(prefix="viubench-bench-") as name:
        scratch = Path(name)
        with Client(work.evalscope, scratch / "client.log") as client, serving(work, scratch) as server:
            _write(scratch / "first", [(work.warm_up, work.questions[0])])
            client.asked("warm-up", scratch / "first", server, work.tokens)
            _write(scratch / "questions", work.asked())
            return [client.asked(name, scratch / "questions", server, work.tokens) for name in ("cold", "warm")]


def _write(folder: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """A data set as general_vqa reads it: a folder with a file for the one subset."""
    folder.mkdir()
    lines = []
    for clip, question in pairs:
        video = {"type": "video_url", "video_url": {"url": str(Path(clip).resolve())}}
        content = [video, {"type": "text", "text": question}]
        lines.append(json.dumps({"messages": [{"role": "user", "content": content}], "answer": "A"}))
    (folder / "test.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def answers(file: Path) -> list[str]:
    """What evalscope kept of the model's answers, in the order of the questions."""
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found.sort(key=lambda one: one["index"])
    return [one["model_output"]["choices"][0]["message"]["content"] for one in found]


def version(python: str) -> str:
    """Of the evalscope that a Python has."""
    program = "from importlib.metadata import version; print(version('evalscope'))"
    return subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout.strip()


class Client:
    """evalscope's process, open for a block; what it prints goes to `log`.

    Raises:
        ViubenchError: there is no evalscope, or it failed.
    """

    def __init__(self, python: str, log: Path) -> None:
        self.log = log
        self.python = python

    def __enter__(self) -> Client:
        try:
            with self.log.open("wb") as out:
                self.process = subprocess.Popen(
                    [self.python, "-I", str(CLIENT)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True,
                )  # fmt: skip
        except OSError as error:
            raise ViubenchError(f"no Python runs: {error}", where="--evalscope") from None
        try:
            self._hears("open")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def asked(self, name: str, data: Path, server: Server, tokens: int) -> Pass:
        """One time through the questions in the folder `data`."""
        out = data.parent / f"{name}-out"
        job = {"data": str(data), "out": str(out), "url": server.url, "model": NAME, "at_once": AT_ONCE}
        self._says(json.dumps(job | {"tokens": tokens}))
        self._hears("begin")
        with timed(name) as one:
            self._says("go")
            self._hears("end")
        one.answers, one.vision = answers(Path(self._hears())), server.vision()
        return one

    def _says(self, line: str) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what it printed last is told where its answer is missed
            print(line, file=self.process.stdin, flush=True)

    def _hears(self, wanted: str = "") -> str:
        """Its next line, which is to be `wanted`; all of one is where nothing is wanted."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line or (wanted and line != wanted):
            said = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((one for one in reversed(said) if one.strip()), f"{line or 'nothing'} where {wanted} was due")
            raise ViubenchError(last.strip()[-300:], where=f"evalscope in {self.python}")
        return line
