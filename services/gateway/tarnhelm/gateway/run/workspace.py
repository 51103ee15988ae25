"""The private folder for what is not verified yet, on the file system of the destination.

A verified file reaches OUT by one rename, so OUT never holds a half-written or unverified file, whatever
dies. A rename cannot cross file systems, so the folder is the first of these from which a rename into OUT
works: the state directory, beside OUT, a hidden folder in OUT (0700, removed at the end of the run).
"""

from __future__ import annotations

import os
import secrets
import shutil
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PREFIX", "Workspace"]

PREFIX: Final = ".tarnhelm-work-"


class Workspace:
    """A folder of mode 0700 that is emptied before and removed after a run.

    Parameters
    ----------
    out
        The destination, an existing folder.
    private
        Folder in the state directory to prefer.
    name
        Keyed digest of OUT: the same run finds and empties what a crash has left.
    """

    def __init__(self, out: Path, private: Path, name: str) -> None:
        self.folder = self._choose(out, [private / "work" / name, out.parent / (PREFIX + name), out / (PREFIX + name)])

    def target(self, object_id: str) -> Path:
        """Where a stage writes its result of an object."""
        return self.folder / f"{object_id}.part"

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _choose(out: Path, candidates: list[Path]) -> Path:
        if not out.is_dir():
            raise TarnhelmError(errors.OUT_UNWRITABLE)
        for candidate in candidates:
            shutil.rmtree(candidate, ignore_errors=True)
        for candidate in candidates:
            try:
                candidate.mkdir(mode=0o700, parents=True)
                probe = candidate / "probe"
                probe.touch(mode=0o600)
                landed = out / f"{PREFIX}{secrets.token_hex(8)}"
                probe.rename(landed)
                landed.unlink()
            except OSError:
                shutil.rmtree(candidate, ignore_errors=True)
                continue
            os.chmod(candidate, 0o700)  # noqa: PTH101  # an odd umask may have taken bits away
            return candidate
        raise TarnhelmError(errors.OUT_UNWRITABLE)
