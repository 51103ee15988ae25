"""The pages of destinations and manifest name every setting, code, metric and field that there is."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tarnhelm.common.errors import delivery
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.deliveries.metrics import DeliveryMetrics
from tarnhelm.gateway.deliveries.settings import ReleaseSettings
from tarnhelm.gateway.destinations import (
    DestinationRules,
    DicomDestinationSettings,
    FolderDestinationSettings,
    RetrySettings,
    StowDestinationSettings,
    TlsFiles,
)
from tarnhelm.gateway.manifest import GENESIS, ManifestKey, ReleaseEntry, signed_line
from tarnhelm.gateway.withdrawals import WithdrawalSettings

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "reference/destinations.md").read_text("utf-8")


@pytest.mark.parametrize(
    "settings",
    [
        DestinationRules,
        RetrySettings,
        FolderDestinationSettings,
        DicomDestinationSettings,
        StowDestinationSettings,
        TlsFiles,
        ReleaseSettings,
        WithdrawalSettings,
    ],
)
def test_every_setting_is_on_the_page(settings) -> None:
    prefix = "retry." if settings is RetrySettings else ""
    names = [one.name for one in fields(settings) if one.name != "retry"]
    assert not [name for name in names if f"`{prefix}{name}`" not in PAGE]


def test_every_metric_is_on_the_page() -> None:
    registry = CollectorRegistry()
    DeliveryMetrics(registry)
    names = [family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()]
    assert len(names) == 9
    assert not [name for name in names if f"`{name}`" not in PAGE]


def test_every_field_of_a_line_is_on_the_page(tmp_path: Path) -> None:
    page = (DOCS / "reference/manifest.md").read_text("utf-8")
    entry = ReleaseEntry("o", "p", ObjectFacts(), "x", "a" * 64, 1, "r", "p", "d", "v", ("pacs",), 1.0)
    line = signed_line(ManifestKey.open(tmp_path / "manifest.pem"), "gateway", 1, GENESIS, entry)
    assert not [name for name in json.loads(line)["document"] if f"`{name}`" not in page]


def test_codes_of_deliveries_have_a_file_of_their_own() -> None:
    rows = [row for name, row in vars(delivery).items() if name.isupper() and hasattr(row, "code")]
    assert {row.code[:4] for row in rows} == {"DLV-"}
