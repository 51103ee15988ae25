"""Write the witness's table of value representations from PS3.6 as pydicom ships it.

Run once per edition: ``python tools/build_witness_elements.py``. The witness itself never imports pydicom; it reads the
table, one line per VR and group, so that two programs with two dictionaries judge the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary

TARGET = Path(__file__).parent.parent / "services/witness/tarnhelm/witness/core/data/elements.txt"


def render() -> str:
    """Return the table: ``VR GGGG EEEE EEEE …`` lines; a VR with alternatives counts as its first one."""
    rows: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for tag, entry in DicomDictionary.items():
        vr = entry[0].split(" or ")[0]
        if vr != "NONE":
            rows[vr, tag >> 16].append(tag & 0xFFFF)
    lines = ["# Data elements of PS3.6 (source: the dictionary of pydicom, MIT licence), by VR and group."]
    for (vr, group), elements in sorted(rows.items()):
        lines.append(f"{vr} {group:04X} " + " ".join(f"{element:04X}" for element in sorted(elements)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="ascii")
    print(TARGET.stat().st_size, "bytes")
