"""Lets torchvision, torchaudio and torchcodec be imported beside a CPU build of torch, where their compiled parts were
built for CUDA and cannot load ("operator torchvision::nms does not exist", "Could not load this library").

What a video model needs of them (resizing) is plain Python. `viubench/system/install.py` copies this file into the
site-packages of such an environment, with a `.pth` file that calls `install()` in every process of it. Where the
compiled parts do load, nothing is changed.

Example:
    >>> install()           # at interpreter start: imports nothing, takes microseconds
    >>> import torchvision  # just before its first line, operators that did not load are declared
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers know it; importing typing would slow every interpreter start
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_kept: list[Any] = []  # torch forgets the declarations of a Library object that is collected


class ShimFinder:
    """Import finder that wraps the loading of the three modules that fail, and leaves every other import alone."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in ("torchvision", "torchaudio._extension.utils", "torchcodec"):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            if name == "torchvision":
                declare_missing_operators(spec.submodule_search_locations or [])
                load(module)
            elif name == "torchcodec":
                try:
                    load(module)
                except OSError as unloadable:  # those who can do without it expect an ImportError
                    raise ImportError(f"torchcodec: {unloadable}") from unloadable
            else:
                load(module)
                tolerate_missing_libraries(module)

        # Set on the instance: the rest of the loader (source, resources) stays its own.
        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def declare_missing_operators(folders: list[str]) -> None:
    """Declare torchvision's `nms` and `qnms` unless the compiled ones in `folders` load; calling them still fails."""
    from glob import glob

    import torch

    for library in (path for folder in folders for path in glob(f"{folder}/_C*.so")):
        try:
            torch.ops.load_library(library)
        except OSError:
            continue  # the case this is for: the next line then finds no operator
    if not hasattr(torch.ops.torchvision, "nms"):
        declared = torch.library.Library("torchvision", "FRAGMENT")
        declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(declared)


def tolerate_missing_libraries(module: Any) -> None:
    """Make torchaudio treat a library that cannot load like one that is not there, which it knows how to live with."""
    load = getattr(module, "_load_lib", None)
    if load is None:  # another version of torchaudio, with another loader
        return

    def load_or_do_without(library: str) -> bool:
        try:
            return bool(load(library))
        except OSError:
            return False

    module._load_lib = load_or_do_without


def install() -> None:
    """Put the finder in front of the others, once."""
    if not any(type(finder).__name__ == "ShimFinder" for finder in sys.meta_path):
        sys.meta_path.insert(0, ShimFinder())
