"""A hub on loopback: answers what huggingface_hub asks, with the files of a folder, and misbehaves when told to.

Example:
    with Hub(tmp_path / "hub") as hub:
        hub.add("ours/clips", {"rows.jsonl": b"{}", "videos.zip": packed})
        HfApi(endpoint=hub.url).dataset_info("ours/clips").sha
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_FROM = 1000
"""Bytes from which a file is served as the hub serves those in LFS: by SHA-256, from another host."""


@dataclass
class Dataset:
    """A data set; `files` by path. `refuse` is an HTTP status, with the hub's word for it."""

    files: dict[str, bytes]
    revision: str
    refuse: tuple[int, str] | None = None


@dataclass
class Hub:
    """What it serves and how it misbehaves: `moved` ids answer 307, `break_after` bytes end a download (each time, or
    `breaks` times), `corrupt` changes a byte, `ignore_range` sends files from their start. `asked` are the requests."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    breaks: int = 1
    corrupt: bool = False
    ignore_range: bool = False
    page: int = 2
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def add(self, name: str, files: dict[str, bytes], **about: Any) -> Dataset:
        content = repr(sorted(files.items())).encode()
        self.datasets[name] = Dataset(dict(files), hashlib.sha1(content).hexdigest(), **about)
        return self.datasets[name]

    def add_folder(self, name: str, folder: Path) -> Dataset:
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        return self.add(name, files)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def downloads(self) -> list[str]:
        """Paths of the files whose bytes were asked for, in order, as the large ones' other host saw them."""
        return [path for path, _ in self.asked if "/resolve/" in path]

    def __enter__(self) -> Hub:
        hub = self

        class Handler(_Handler):
            state = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Tests read `Hub.asked` instead."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.state.asked.append((path, {key.lower(): value for key, value in self.headers.items()}))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "datasets"]:
            self.api("/".join(parts[2:4]), parts[4:])
        elif parts[0] == "datasets" and parts[3] == "resolve":
            self.resolve("/".join(parts[1:3]), parts[4], "/".join(parts[5:]))
        elif parts[0] == "content":
            self.content(parts[1])
        else:
            self.answer(404, b"")

    def api(self, name: str, rest: list[str]) -> None:
        if name in self.state.moved:
            target = self.path.replace(name, self.state.moved[name])
            return self.answer(307, b"", {"Location": target})
        found = self.state.datasets.get(name)
        if found is None:
            return self.error(404, "RepoNotFound")
        if found.refuse and found.refuse[1] != "GatedRepo":  # of a gated data set everybody may see the page
            return self.error(*found.refuse)
        if rest and rest[1] not in ("main", found.revision):
            return self.error(404, "RevisionNotFound")
        if rest[:1] == ["tree"]:
            return self.tree(name, found)
        return self.json({"id": name, "sha": found.revision, "siblings": [], "tags": [], "private": False})

    def tree(self, name: str, found: Dataset) -> None:
        """One page of the files, with a link to the next one."""
        start = int(dict(part.split("=") for part in urlsplit(self.path).query.split("&") if part).get("cursor", 0))
        entries: list[dict[str, Any]] = []
        for path, content in sorted(found.files.items()):
            entry = {"type": "file", "path": path, "size": len(content), "oid": git_id(content)}
            if len(content) >= LFS_FROM:
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
            entries.append(entry)
        folders = {path.split("/")[0] for path in found.files if "/" in path}
        entries += [{"type": "directory", "path": folder, "oid": "0" * 40} for folder in sorted(folders)]
        headers = {}
        if start + self.state.page < len(entries):
            next_page = f"{self.state.url}/api/datasets/{name}/tree/{found.revision}?recursive=True"
            headers["Link"] = f'<{next_page}&cursor={start + self.state.page}>; rel="next"'
        self.json(entries[start : start + self.state.page], headers)

    def resolve(self, name: str, revision: str, path: str) -> None:
        found = self.state.datasets.get(name)
        if found is None or revision != found.revision:
            return self.error(404, "RevisionNotFound" if found else "RepoNotFound")
        if found.refuse:
            return self.error(*found.refuse)
        if path not in found.files:
            return self.error(404, "EntryNotFound")
        content = found.files[path]
        if len(content) < LFS_FROM:
            return self.bytes(content, {"ETag": f'"{git_id(content)}"', "X-Repo-Commit": found.revision})
        sha256 = hashlib.sha256(content).hexdigest()
        other_host = f"http://localhost:{self.state.server.server_port}/content/{sha256}"
        return self.answer(302, b"", {"Location": other_host, "X-Linked-Etag": f'"{sha256}"'})

    def content(self, sha256: str) -> None:
        files = (content for found in self.state.datasets.values() for content in found.files.values())
        self.bytes(next(content for content in files if hashlib.sha256(content).hexdigest() == sha256), {})

    def bytes(self, content: bytes, headers: dict[str, str]) -> None:
        """A file, or the rest of it from where the request says, whole or broken off."""
        if self.state.corrupt:
            content = bytes([content[0] ^ 1]) + content[1:]
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked and not self.state.ignore_range else 0
        rest = content[start:]
        if start:
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        cut = len(rest)
        if self.state.break_after is not None and self.state.breaks and len(content) >= LFS_FROM:
            self.state.breaks -= 1
            cut = self.state.break_after
        self.answer(206 if start else 200, rest, headers, cut)

    def json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def error(self, status: int, word: str) -> None:
        self.answer(status, b"{}", {"X-Error-Code": word} if word else {})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # a client that was killed
            self.wfile.write(body[:cut])
        if cut is not None and cut < len(body):
            self.close_connection = True


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
