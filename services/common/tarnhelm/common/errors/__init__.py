"""Every error the house can raise: a stable code, a disposition, a message without values.

An error text travels to logs, reports, metrics and senders, so it may hold numbers and DICOM tags, never
a value out of a file. Code that catches a library's exception raises one of these instead, ``from None``,
because the library's text may quote the value.

Each family of codes has a file of its own here; its first line gives the family's letters and subject. Every row is
read from this package, ``errors.TRUNCATED``, so that a row may move without its readers. A new family is a file and a
line below: the lines stand in the order of the catalogue.
"""

# ruff: noqa: F403, I001

from __future__ import annotations

from tarnhelm.common.errors.catalogue import (
    CATALOGUE as CATALOGUE,
    Disposition as Disposition,
    ErrorCode as ErrorCode,
    TarnhelmError as TarnhelmError,
    error_code as error_code,
)
from tarnhelm.common.errors.dicom import *
from tarnhelm.common.errors.limits import *
from tarnhelm.common.errors.metadata import *
from tarnhelm.common.errors.profiles import *
from tarnhelm.common.errors.pixels import *
from tarnhelm.common.errors.witness import *
from tarnhelm.common.errors.stages import *
from tarnhelm.common.errors.gateway import *
from tarnhelm.common.errors.broker import *
from tarnhelm.common.errors.blobs import *
from tarnhelm.common.errors.state import *
from tarnhelm.common.errors.config import *
from tarnhelm.common.errors.command import *
from tarnhelm.common.errors.recipe import *
from tarnhelm.common.errors.linkage import *
from tarnhelm.common.errors.reveal import *
from tarnhelm.common.errors.steward import *
from tarnhelm.common.errors.delivery import *
from tarnhelm.common.errors.web import *
from tarnhelm.common.errors.ingest import *
from tarnhelm.common.errors.doors import *
