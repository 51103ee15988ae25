"""The reference page of the doors lists their settings, with the defaults that they have."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from tarnhelm.common.events import EVENTS
from tarnhelm.gateway.config.reading import parse_config
from tarnhelm.gateway.config.sections import DoorSection
from tarnhelm.gateway.doors.dicom_settings import CommitmentPeer, DicomDoorSettings, DicomTitle
from tarnhelm.gateway.doors.folder_settings import FolderDoorSettings
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings, StowRoute

PAGE = (Path(__file__).resolve().parents[4] / "docs/reference/doors.md").read_text("utf-8")


def said(default):
    if default is dataclasses.MISSING or default in (None, "", ()):
        return {"none", "–"}
    return {str(default).lower()}


@pytest.mark.parametrize(
    "settings", [DicomDoorSettings, DicomTitle, CommitmentPeer, StowDoorSettings, StowRoute, FolderDoorSettings]
)
def test_each_setting_stands_on_the_page_with_its_default(settings):
    rows = PAGE.split(f"<!-- {settings.__name__} -->")[1].split("<!-- end -->")[0].strip().splitlines()[2:]
    found = {}
    for row in rows:
        names, defaults, _ = (cell.strip() for cell in row.strip("|").split("|", 2))
        listed = re.findall(r"`(\w+)`", names)
        values = [value.strip("`") for value in defaults.split(", ")]
        found |= dict(zip(listed, values * len(listed) if len(values) == 1 else values, strict=False))
    fields = {field.name: field.default for field in dataclasses.fields(settings)}
    assert set(found) == set(fields)
    assert not [name for name, default in fields.items() if found[name] not in said(default)]


def test_each_event_of_the_doors_stands_on_the_page_with_its_fields():
    listed = {
        int(number): (name, frozenset(re.findall(r"`(\w+)`", fields)))
        for number, name, fields in re.findall(r"^\| (4\d\d) \| `([\w-]+)` \| ([^|]*) \|", PAGE, re.MULTILINE)
    }
    assert listed == {number: (kind.name, kind.fields) for number, kind in EVENTS.items() if 470 <= number < 500}


def test_the_configurations_of_the_guide_are_understood(tmp_path):
    guide = (Path(__file__).resolve().parents[4] / "docs/guides/send-from-a-pacs.md").read_text("utf-8")
    found = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    dicom, peers, stow, folder = found
    for text in (dicom, dicom + peers, stow, folder):
        section = parse_config(text.removeprefix("doors:\n"), DoorSection, tmp_path)
        assert len(section.dicom) + len(section.stow) + len(section.folder) == 1
