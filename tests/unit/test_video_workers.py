"""Worker processes: a job that hangs or crashes fails alone, and nothing outlives the parent."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from viubench.errors import Exit, MediaError, ViubenchError
from viubench.video import cores, process_pool
from viubench.video.process_pool import KillablePool


def add(one: int, other: int) -> int:
    return one + other


def pid() -> int:
    return os.getpid()


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def bad_clip() -> None:
    raise MediaError("truncated", "a.mp4", "118 of 287 frames decode")


def bad_option() -> None:
    raise ViubenchError("no such thing", where="a.yaml:3", hint="look again", exit_code=Exit.INVALID_RUN)


def divide() -> float:
    return 1 / 0


def vanish() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault() -> None:
    ctypes.string_at(0)


def hog() -> int:
    return len(bytearray(8 << 30))


class Unpicklable(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def odd_error() -> None:
    raise Unpicklable(1, 2)


def alive(process: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(processes: list[int]) -> bool:
    for _ in range(200):
        if not any(alive(process) for process in processes):
            return True
        time.sleep(0.05)
    return False


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def test_errors_survive_pickling() -> None:
    media = pickle.loads(pickle.dumps(MediaError("timeout", "a.mp4", "killed after 3 s")))
    assert (media.fault, media.path, media.detail) == ("timeout", "a.mp4", "killed after 3 s")
    assert str(media) == "a.mp4: timeout (killed after 3 s)"
    user = pickle.loads(pickle.dumps(ViubenchError("m", where="w", hint="h", exit_code=Exit.INCONCLUSIVE)))
    assert (user.message, user.where, user.hint, user.exit_code) == ("m", "w", "h", Exit.INCONCLUSIVE)


def test_results_and_errors_come_back() -> None:
    with KillablePool(1, limit_s=60) as pool:
        assert [pool.submit(add, one, 10).result() for one in range(5)] == [10, 11, 12, 13, 14]
        with pytest.raises(MediaError, match="118 of 287"):
            pool.submit(bad_clip).result()
        with pytest.raises(ViubenchError) as caught:
            pool.submit(bad_option).result()
        assert (caught.value.hint, caught.value.exit_code) == ("look again", Exit.INVALID_RUN)
        with pytest.raises(ZeroDivisionError) as divided:
            pool.submit(divide).result()
        assert "in divide" in str(divided.value.__cause__)
        with pytest.raises(RuntimeError, match="Unpicklable: 1 and 2"):
            pool.submit(odd_error).result()


def test_one_process_serves_many_jobs() -> None:
    with KillablePool(1, limit_s=60) as pool:
        assert len({pool.submit(pid).result() for _ in range(3)} - {os.getpid()}) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_the_cores_behind_the_engine(workers: int) -> None:
    with KillablePool(workers, limit_s=60) as pool:
        assert pool.submit(os.nice, 0).result() > os.nice(0)
        assert pool.submit(cores.share).result() == max(1, cores.available() // workers)
    assert cores.share() == 1, "this process is no worker"


@linux
def test_a_job_past_its_limit_is_killed() -> None:
    with KillablePool(1, limit_s=60) as pool:
        stuck = pool.submit(pid).result()
        pool.limit_s = 0.5
        with pytest.raises(MediaError, match=r"a\.mp4: timeout \(killed after 0\.5 s\)"):
            pool.submit(sleep, 60.0, name="a.mp4").result()
        pool.limit_s = 60
        assert pool.submit(add, 1, 1).result() == 2, "a fresh worker takes over"
        assert gone([stuck])


@pytest.mark.parametrize(("job", "name"), [(vanish, "SIGKILL"), (segfault, "SIGSEGV")])
def test_a_worker_that_dies(job: object, name: str) -> None:
    with KillablePool(1, limit_s=60) as pool:
        with pytest.raises(MediaError, match=name) as caught:
            pool.submit(job, name="b.mp4").result()  # type: ignore[arg-type]
        assert (caught.value.fault, caught.value.path) == ("crashed", "b.mp4")
        assert pool.submit(add, 2, 2).result() == 4


LIMITED = """
import resource
from viubench.video.process_pool import KillablePool
hard = 6 << 30
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
if __name__ == "__main__":
    with KillablePool(1, limit_s=60) as pool:
        assert pool.submit(resource.getrlimit, resource.RLIMIT_AS).result() == (hard, hard)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is on address space")
def test_a_limit_that_the_user_set_holds_for_workers_too(tmp_path: Path) -> None:
    (tmp_path / "limited.py").write_text(LIMITED)
    done = subprocess.run([sys.executable, tmp_path / "limited.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is on address space")
def test_memory_is_bounded() -> None:
    with KillablePool(1, limit_s=60, memory_bytes=4 << 30) as pool:
        with pytest.raises(MediaError) as caught:
            pool.submit(hog, name="c.mp4").result()
        assert (caught.value.fault, caught.value.path) == ("too_large", "c.mp4")
        assert pool.submit(add, 2, 3).result() == 5


@linux
def test_close_leaves_nothing() -> None:
    pool = KillablePool(2, limit_s=60)
    workers = [pool.submit(pid).result() for _ in range(4)]
    jobs = [pool.submit(sleep, 60.0) for _ in range(4)]
    while not any(job.running() for job in jobs):
        time.sleep(0.01)
    pool.close()
    pool.close()
    assert gone(workers)
    for job in jobs:
        with pytest.raises((MediaError, CancelledError)):
            job.result(timeout=0)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(add, 1, 1)


PARENT = """
import sys, time
sys.path.insert(0, {here!r})
from test_video_workers import pid, sleep
from viubench.video import cores
from viubench.video.process_pool import KillablePool

if __name__ == "__main__":
    pool = KillablePool(2, limit_s=60)
    known = set()
    while len(known) < 2:
        jobs = [pool.submit(pid) for _ in range(4)]
        known |= {{job.result() for job in jobs}}
    busy = pool.submit(sleep, 60.0)
    while not busy.running():
        time.sleep(0.01)
    print(*known, flush=True)
    {then}
"""


@linux
@pytest.mark.parametrize(
    ("end", "then"),
    [(signal.SIGKILL, "time.sleep(60)"), (signal.SIGINT, "time.sleep(60)"), (None, "pass"), (None, "1 / 0")],
)
def test_no_orphans_however_the_parent_ends(tmp_path: Path, end: signal.Signals | None, then: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(here=str(Path(__file__).parent), then=then))
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    if end is signal.SIGINT:
        os.killpg(parent.pid, end)  # as Ctrl-C in a terminal does
    elif end is not None:
        parent.send_signal(end)
    parent.wait(timeout=60)
    assert gone(workers)


def test_a_pool_without_workers_is_refused() -> None:
    for workers, limit in ((0, 1.0), (1, 0.0)):
        with pytest.raises(ViubenchError):
            KillablePool(workers, limit)


FEW = """
import resource, sys
from viubench.errors import ViubenchError
from viubench.video.process_pool import KillablePool
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
if __name__ == "__main__":
    try:
        with KillablePool(2, limit_s=60) as pool:
            print(pool.submit(len, "four").result())
    except ViubenchError as error:
        print(error.message)
"""


@pytest.mark.parametrize(("files", "said"), [(40, "4\n"), (24, "only 24 files may be open"), (8, "only 8 files")])
def test_few_open_files_are_an_error_and_no_wait(tmp_path: Path, files: int, said: str) -> None:
    (tmp_path / "few.py").write_text(FEW)
    done = subprocess.run([sys.executable, tmp_path / "few.py", str(files)], capture_output=True, text=True)
    assert done.stdout.startswith(said), done.stderr


def test_little_memory_is_an_error_and_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for more in (2 << 30, 100 << 20):
        monkeypatch.setattr(resource, "getrlimit", lambda _, more=more: (taken + more, resource.RLIM_INFINITY))
        if more > process_pool.LEAST_MEMORY:
            process_pool.require_memory()
    with pytest.raises(ViubenchError, match=r"only \d+ MB of memory may still be taken: 512 MB are needed"):
        process_pool.require_memory()


def test_a_worker_that_cannot_be_started_costs_its_job_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with KillablePool(1, limit_s=60) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_new_process", lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                pool.submit(add, 1, 1).result(30)
        assert pool.submit(add, 2, 2).result() == 4


STARTED = """
import functools, os
from viubench.video import process_pool

class Gone:
    "What a fork is to take along, of a parent that has cleaned up behind itself."
    def __reduce__(self):
        return os.stat, ("/nowhere/semaphore",)

with process_pool.without_main():
    worker = process_pool._context().Process(target=functools.partial(print, Gone()))
    worker.start()
worker.join()
print(worker.exitcode)
"""


def test_a_worker_that_is_born_behind_its_parent_prints_no_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, timeout=120)
    assert (ended.stdout, ended.stderr) == ("1\n", "")
