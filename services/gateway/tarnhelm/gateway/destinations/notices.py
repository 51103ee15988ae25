"""Withdrawal notices as files: for destinations whose protocol cannot carry one."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.gateway.destinations.base import Notice

__all__ = ["NoticeFolder"]

_NAME: Final = re.compile(r"[0-9a-f]{16,64}", re.ASCII)


class NoticeFolder:
    """A folder with one signed file for each order; a notice that stands there already is left alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, notice: Notice) -> None:
        """Write ``ORDER.json`` durably.

        Raises
        ------
        TarnhelmError
            GTW-004 or DLV-006, both RETRY.
        """
        if not _NAME.fullmatch(notice.name):
            raise TarnhelmError(errors.DESTINATION_SETTINGS)
        target = self._folder / f"{notice.name}.json"
        content = notice.document + b"\n"
        try:
            if target.exists() and target.read_bytes() == content:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            work = self._folder / f".{notice.name}.{os.getpid()}"
            fd = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            with os.fdopen(fd, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            work.replace(target)
            fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise TarnhelmError(errors.NO_SPACE if full else errors.FOLDER_UNWRITABLE) from None
