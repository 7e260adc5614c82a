"""`reward-groups.json` of a run folder, checked to be of the run that is there.

Example:
    read(Path("runs/probe")).total.smooth.zero_std.value
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from viubench.errors import ViubenchError
from viubench.reward_groups.groups import HINT, sampled
from viubench.schema import wording
from viubench.schema.reward_groups import RewardGroups
from viubench.storage import atomic
from viubench.storage.run_dir import read_manifest

FILE = "reward-groups.json"


def write(run: Path, found: RewardGroups) -> None:
    """Write what was found into the run's folder."""
    atomic.write(run / FILE, (found.model_dump_json(by_alias=True, indent=1) + "\n").encode())


def read(run: Path) -> RewardGroups:
    """What `viubench probe-data` found in a run. Raises ViubenchError where it was not run there, or the run has
    changed since."""
    manifest = read_manifest(run)
    sampled(manifest, str(run))
    try:
        found = RewardGroups.model_validate_json((run / FILE).read_bytes())
    except FileNotFoundError:
        raise ViubenchError("the groups of the run were not measured", where=str(run), hint=HINT) from None
    except (OSError, ValidationError) as error:
        about = wording.first_in_words(error, RewardGroups) if isinstance(error, ValidationError) else str(error)
        raise ViubenchError(f"{FILE} cannot be read: {about}", where=str(run / FILE), hint=HINT) from None
    if found.started != manifest.started:
        raise ViubenchError(f"{FILE} is of an earlier run in this folder", where=str(run), hint=HINT)
    return found
