"""Surrogates and original UIDs out of what people have in their hands."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from reveal_hospital import code_of

from tarnhelm.reveal.core.inputs import originals_in, surrogates_of_csv, surrogates_of_object


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("S-1\nS-2\nS-1\n", ("S-1", "S-2")),
        ("PatientID,note\nS-1,x\nS-2,y\n", ("S-1", "S-2")),
        ("note,surrogate\nx,S-1\n\ny,S-2\n", ("S-1", "S-2")),
        ("\ufeffpatient_id\n S-1 \n", ("S-1",)),
        ('"S-1","a ""b"""\n', ("S-1",)),
    ],
)
def test_a_csv_gives_its_column(tmp_path, text, names):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    assert surrogates_of_csv(tmp_path / "list.csv") == names


def test_a_csv_without_any_is_said(tmp_path):
    (tmp_path / "empty.csv").write_text("PatientID\n\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("empty.csv", "binary.csv", "missing.csv"):
        assert code_of(lambda name=name: surrogates_of_csv(tmp_path / name)) == "RVL-027"


def test_a_released_object_gives_its_study_or_its_instances():
    path = get_testdata_file("CT_small.dcm", download=False)
    from pathlib import Path

    assert surrogates_of_object(Path(path), instances=False) == ("1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",)
    assert surrogates_of_object(Path(path), instances=True) == (
        "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
        "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
    )


def test_a_file_that_is_no_dicom_is_said_without_its_words(tmp_path, caplog):
    (tmp_path / "x").write_bytes(b"CANARY" * 100)
    with caplog.at_level(logging.DEBUG):
        assert code_of(lambda: surrogates_of_object(tmp_path / "x", instances=False)) == "RVL-027"
    assert "CANARY" not in caplog.text


def test_originals_come_out_of_objects_folders_tables_and_what_a_pacs_lists(tmp_path):
    from pathlib import Path

    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "one").write_bytes(Path(get_testdata_file("CT_small.dcm", download=False)).read_bytes())
    (tmp_path / "qido.json").write_text(json.dumps([{"0020000E": {"vr": "UI", "Value": ["1.2.3.4.5"]}}]))
    (tmp_path / "find.txt").write_text("(0020,000e) UI [1.2.3.4.6]   # 10, 1 SeriesInstanceUID\n")
    (tmp_path / "table.csv").write_text("1.2.3.4.7,x\n2.25.340282366920938463463374607431768211455,y\n")
    found = set(originals_in(tmp_path / name for name in ("study", "qido.json", "find.txt", "table.csv")))
    assert {"1.2.3.4.5", "1.2.3.4.6", "1.2.3.4.7"} <= found
    assert "2.25.340282366920938463463374607431768211455" in found
    assert "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322" in found


def test_a_path_without_any_uid_is_said(tmp_path):
    (tmp_path / "words.txt").write_text("nothing 12.34 here")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("words.txt", "empty", "missing"):
        assert code_of(lambda name=name: list(originals_in([tmp_path / name]))) == "RVL-033"


UIDS = st.lists(st.integers(0, 10**12), min_size=2, max_size=4).map(lambda parts: "1.2." + ".".join(map(str, parts)))


@given(uids=st.lists(UIDS, min_size=1, max_size=20), between=st.sampled_from([",", "\n", '","', "] [", "\\", " "]))
def test_every_uid_of_a_text_is_found(tmp_path_factory, uids, between):
    path = tmp_path_factory.mktemp("text") / "list"
    path.write_text(between.join(uids))
    assert list(originals_in([path])) == uids
