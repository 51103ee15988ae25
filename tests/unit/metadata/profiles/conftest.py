import json
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
FACTS = REPOSITORY.parent / "shared/data/ps3.15"
COMMITTED = REPOSITORY / "services/metadata/tarnhelm/metadata/core/standard/data/attributes.json"


def raw_rows():
    """Rows as (tag, basic, options): from the extracted facts where they are, else from the committed text."""
    found = sorted(FACTS.glob("table_e1_1_*.json"))
    if found:
        return [(row[0], row[2], row[3]) for row in json.loads(found[0].read_text(encoding="utf-8"))["attributes"]]
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return [
        (tag, basic, {name: code for name, code in zip(document["options"], letters, strict=True) if code != "-"})
        for tag, _, basic, letters, _ in document["rows"]
    ]


@pytest.fixture(scope="session")
def rows():
    return raw_rows()
