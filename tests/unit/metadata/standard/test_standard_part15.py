"""NEMA's DocBook is read by its headings, and whatever the reader does not know stops it."""

import re
from html import escape

import pytest

HEADINGS = (
    "Attribute Name", "Tag", "Retd. (from PS3.6)", "In Std. Comp. IOD (from PS3.3)", "Basic Prof.",
    "Rtn. Safe Priv. Opt.", "Rtn. UIDs Opt.", "Rtn. Dev. Id. Opt.", "Rtn. Inst. Id. Opt.", "Rtn. Pat. Chars. Opt.",
    "Rtn. Long. Full Dates Opt.", "Rtn. Long. Modif. Dates Opt.", "Clean Desc. Opt.", "Clean Struct. Cont. Opt.",
    "Clean Graph. Opt.",
)  # fmt: skip
CONTENT_HEADINGS = (
    "Code Meaning", "Code Value", "Coding Scheme Designator", "Value Type", "Retd. (from PS3.16)", "In Std. Templates",
    "Basic Prof.", "Rtn. UIDs Opt.", "Rtn. Dev. Id. Opt.", "Rtn. Inst. Id. Opt.", "Rtn. Pat. Chars. Opt.",
    "Rtn. Long. Full Dates Opt.", "Rtn. Long. Modif. Dates Opt.", "Clean Desc. Opt.",
)  # fmt: skip
PRIVATE_HEADINGS = ("Data Element", "Private Creator", "VR", "VM", "Meaning")

# Invented attributes in NEMA's layout.
ROWS = [
    # a break mark inside a long word, a note behind the name
    ["Lantern\u200bKeeper Name (see Note 3)", "(0011,1010)", "N", "Y", "Z/D", "", "", "", "", "", "", "", "C", "", ""],
    # retired, in no IOD, two date options
    ["Lantern Date", "(0011,101A)", "Y", "N", "X", "", "", "", "", "", "K", "C", "", "", ""],
    # references, with the star
    ["Lantern Sequence", "(0011,1140)", "N", "Y", "X/Z/U*", "", "K", "", "", "", "", "", "", "", ""],
    # the four rows that stand for many tags
    ["Curve Data", "(50xx,xxxx)", "Y", "N", "X", "", "", "", "", "", "", "", "", "", "C"],
    ["Overlay Comments", "(60xx,4000)", "Y", "N", "X", "", "", "", "", "", "", "", "", "", "C"],
    ["Overlay Data", "(60xx,3000)", "N", "Y", "X", "", "", "", "", "", "", "", "", "", "C"],
    ["Private Attributes", "(gggg,eeee) where gggg is odd", "N", "N", "X", "C", "", "", "", "", "", "", "", "", ""],
]
CONTENT_ROWS = [
    ["Lantern Remark", "999001", "DCM", "TEXT", "N", "Y", "X/D", "", "", "", "", "", "", "C"],
    # a designator with a coding scheme version
    ["Lantern Lit", "7", "NCDR [2.0b]", "DATETIME", "N", "Y", "X", "", "", "", "", "K", "C", ""],
]
PRIVATE_ROWS = [["(7053,xx09)", "LANTERN WORKS 01", "DS", "3-4", "Brightness & Warmth"]]


def docbook_table(label, caption, headings, rows):
    def cells(kind, values):
        return "".join(
            f'<{kind} align="center" colspan="1" rowspan="1"><para xml:id="para_{label}_{index}">{escape(value)}</para></{kind}>'
            for index, value in enumerate(values)
        )

    body = "".join(f'<tr valign="top">{cells("td", row)}</tr>' for row in rows)
    return (
        f'<table frame="box" label="{label}" rules="all" xml:id="table_{label}"><caption>{caption}</caption>'
        f'<thead><tr valign="top">{cells("th", headings)}</tr></thead><tbody>{body}</tbody></table>'
    )


def docbook(attributes, content, private, subtitle="DICOM PS3.15 2031b - Security and System Management Profiles"):
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<book xmlns="http://docbook.org/ns/docbook" label="PS3.15" version="5.0" xml:id="PS3.15">'
        f"<title>PS3.15</title><subtitle>{subtitle}</subtitle><chapter label='E' xml:id='chapter_E'>"
        # A table of action codes stands before the one that is wanted.
        + docbook_table("E.1-1a", "Action Codes", ("Code", "Meaning"), [("X", "remove")])
        + attributes
        + content
        + private
        + "</chapter></book>"
    )


def sample(**changed):
    tables = {
        "attributes": docbook_table("E.1-1", "Attributes", HEADINGS, ROWS),
        "content": docbook_table("E.3.4-1", "Content Items", CONTENT_HEADINGS, CONTENT_ROWS),
        "private": docbook_table("E.3.10-1", "Safe Private Attributes", PRIVATE_HEADINGS, PRIVATE_ROWS),
    }
    subtitle = changed.pop("subtitle", None)
    tables.update(changed)
    return docbook(**tables, **({"subtitle": subtitle} if subtitle else {}))


@pytest.fixture
def read(standard_facts, tmp_path):
    def _read(text):
        path = tmp_path / "part15.xml"
        path.write_text(text, encoding="utf-8")
        return standard_facts.read_part15(path)

    return _read


def test_the_sample_gives_edition_rows_and_flags(read):
    facts = read(sample())
    assert facts.edition == "2031b"
    by_tag = {row.tag: row for row in facts.attributes}
    assert by_tag["00111010"].name == "LanternKeeper Name"
    assert by_tag["00111010"].basic == "Z/D"
    assert by_tag["00111010"].options == {"clean_descriptors": "C"}
    assert (by_tag["00111010"].retired, by_tag["00111010"].in_standard_iod) == (False, True)
    assert (by_tag["0011101A"].retired, by_tag["0011101A"].in_standard_iod) == (True, False)
    assert by_tag["0011101A"].options == {
        "retain_longitudinal_full_dates": "K",
        "retain_longitudinal_modified_dates": "C",
    }
    assert by_tag["00111140"].basic == "X/Z/U*"
    assert {"50xxxxxx", "60xx4000", "60xx3000", "PRIVATE"} <= set(by_tag)
    assert [(row.scheme, row.code, row.value_type, row.basic) for row in facts.content_items] == [
        ("DCM", "999001", "TEXT", "X/D"),
        ("NCDR", "7", "DATETIME", "X"),
    ]
    private = facts.safe_private[0]
    assert (private.creator, private.group, private.element, private.vr, private.vm, private.meaning) == (
        "LANTERN WORKS 01", "7053", "09", "DS", "3-4", "Brightness & Warmth",
    )  # fmt: skip


def test_columns_may_move_and_new_ones_may_come(read):
    order = [4, 0, 2, 1, *range(14, 4, -1), 3]
    moved = [[*(row[index] for index in order), "new"] for row in ROWS]
    headings = [*(HEADINGS[index] for index in order), "A Column of the Future Opt."]
    assert read(sample(attributes=docbook_table("E.1-1", "Attributes", headings, moved))) == read(sample())


def table(rows, headings=HEADINGS):
    return docbook_table("E.1-1", "Attributes", headings, rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # a cell is missing: the columns would shift
        (lambda: {"attributes": table([ROWS[0][:-1]])}, "14 cells under 15"),
        # an action code that no edition has used
        (lambda: {"attributes": table([[*ROWS[0][:4], "Q", *ROWS[0][5:]]])}, "unknown action code"),
        # an option that would remove more
        (lambda: {"attributes": table([[*ROWS[0][:12], "X", "", ""]])}, "unknown action code"),
        # a tag that is none
        (lambda: {"attributes": table([["Lantern", "somewhere", *ROWS[0][2:]]])}, "tag cannot be read"),
        # the same tag twice
        (lambda: {"attributes": table([ROWS[0], ROWS[0]])}, "two rows for 00111010"),
        # an option column was renamed
        (lambda: {"attributes": table(ROWS, [*HEADINGS[:14], "Tidy Graph. Opt."])}, "clean_graphics"),
        # the table is not there
        (lambda: {"private": ""}, "no Table E.3.10-1"),
        # the table is empty
        (lambda: {"attributes": table([])}, "empty"),
        # the document does not say which edition it is
        (lambda: {"subtitle": "Security and System Management Profiles"}, "edition"),
    ],
)
def test_what_is_not_understood_stops_the_reader(read, standard_facts, change, said):
    with pytest.raises(standard_facts.SourceError, match=re.escape(said)):
        read(sample(**change()))


def test_broken_xml_is_an_error_of_the_source(read, standard_facts):
    with pytest.raises(standard_facts.SourceError, match="well-formed"):
        read(sample()[:-20])


def test_both_sources_of_one_edition_give_the_same_bytes(read, standard_facts, build_standard, facts_folder):
    """The whole real table goes through the DocBook layout and comes out as it went in."""
    facts = standard_facts.read_facts(facts_folder)

    def yes(flag):
        return "Y" if flag else "N"

    def tag(row):
        return "(gggg,eeee) where gggg is odd" if row.tag == "PRIVATE" else f"({row.tag[:4]},{row.tag[4:]})"

    attributes = [
        [row.name, tag(row), yes(row.retired), yes(row.in_standard_iod), row.basic]
        + [row.options.get(name, "") for name in standard_facts.ATTRIBUTE_OPTIONS]
        for row in facts.attributes
    ]
    content = [
        [row.meaning, row.code, row.scheme, row.value_type, yes(row.retired), "Y", row.basic]
        + [row.options.get(name, "") for name in standard_facts.CONTENT_OPTIONS]
        for row in facts.content_items
    ]
    private = [
        [f"({row.group},xx{row.element})", row.creator, row.vr, row.vm, row.meaning] for row in facts.safe_private
    ]
    again = read(
        docbook(
            table(attributes),
            docbook_table("E.3.4-1", "Content Items", CONTENT_HEADINGS, content),
            docbook_table("E.3.10-1", "Safe Private Attributes", PRIVATE_HEADINGS, private),
            subtitle=f"DICOM PS3.15 {facts.edition} - Security and System Management Profiles",
        )
    )
    assert build_standard.build(again) == build_standard.build(facts)


def test_the_command_builds_checks_and_sees_a_change(build_standard, tmp_path, capsys):
    part15, output = tmp_path / "part15.xml", tmp_path / "data"
    part15.write_text(sample(), encoding="utf-8")
    arguments = ["--part15", str(part15), "--output", str(output)]
    assert build_standard.main([*arguments, "--check"]) == 1, "nothing is built yet"
    assert build_standard.main(arguments) == 0
    assert build_standard.main([*arguments, "--check"]) == 0
    first = {path.name: path.read_bytes() for path in output.iterdir()}
    assert build_standard.main(arguments) == 0
    assert {path.name: path.read_bytes() for path in output.iterdir()} == first, "the bytes are deterministic"
    part15.write_text(sample().replace("Z/D", "D"), encoding="utf-8")
    assert build_standard.main([*arguments, "--check"]) == 1
    assert "attributes.json" in capsys.readouterr().out
    part15.write_text("<book/>", encoding="utf-8")
    assert build_standard.main(arguments) == 2
