"""Fuzz target of the element walker: ``python tests/hostile/fuzz_header.py [-runs=N] [CORPUS]`` (needs atheris).

The walker may refuse, with an error of the catalogue; it may not crash, hang, or answer positions that do not fit.
Without atheris ``check(data)`` is a plain function, which the tests call.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tarnhelm.common.dicom.file_start import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tarnhelm.common.dicom.header import Element, KeyTable, Walker, read_start
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits

__all__ = ["check"]

KNOWN = frozenset(
    {EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE, DEFLATED, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"}
)
LIMITS = Limits(max_elements=5_000, max_depth=16, max_frames=1_000)


class PlainTable(KeyTable):
    """Knows of an element what its header says."""

    def payload(self, tag: int, vr: str) -> str:  # noqa: ARG002
        """The VR."""
        return vr

    def nested(self, tag: int, encoding) -> KeyTable:  # noqa: ARG002
        """The same table where the items are written alike."""
        return self if encoding is self.encoding else PlainTable(encoding)

    def vr_of(self, tag: int) -> str:
        """Sequences by the dictionary, all else unknown."""
        return "SQ" if tag in {0x00081140, 0x0040A730} else "UN"


def check(data: bytes) -> None:
    """Walk ``data`` and hold the walker to its word."""
    try:
        start = read_start(data, KNOWN)
        if start.deflated:
            return
        elements = Walker(data, limits=LIMITS).walk(start.dataset, len(data), PlainTable(start.encoding))
    except TarnhelmError:
        return
    assert not elements or elements[-1].end == len(data), "bytes behind the last element"
    covered(elements, start.dataset, len(data))


def covered(elements: list[Element], start: int, end: int) -> None:
    """Elements ascend, touch each other, and lie within their parent."""
    at, last = start, -1
    for element in elements:
        assert element.start == at, "a gap or an overlap"
        assert element.start <= element.value <= element.value_end <= element.end <= end, "beyond its parent"
        assert element.entry.tag > last, "tags do not ascend"
        at, last = element.end, element.entry.tag
        for item in element.items or ():
            assert element.value <= item.start <= item.content <= item.content_end <= item.end <= element.end
            covered(item.elements, item.content, item.content_end)


def main() -> None:
    """Run under atheris."""
    import atheris

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    atheris.instrument_all()
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
