"""Commands within the test's own process, which has imported what they need: for those that are not what is tested.

Example:
    within.viubench("clips", "--out", tmp_path / "clips", "--n", 4)
"""

from __future__ import annotations

import sys

import pytest

from viubench import cli


def viubench(*words: object) -> None:
    """Run a command that must succeed, without its progress."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["viubench", *map(str, words), "--quiet"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code, f"{words[0]} ended with {ended.value.code}"
