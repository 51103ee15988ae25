"""What every store of projects must do."""

from __future__ import annotations

import multiprocessing
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.ledgers import code_of

from tarnhelm.linkage.core.postgres import Database
from tarnhelm.linkage.core.projects import ProjectSettings, ProjectStore, RunPins
from tarnhelm.linkage.core.projects_postgres import PostgresProjects

PINS = RunPins("a" * 64, ("basicProfile", "rtnUIDsOpt"), "2026d", 1, {"ocr": "b" * 64})


class Shelf:
    """Opens one store any number of times, in any process."""

    def __init__(self, kind, where):
        self.kind, self.where = kind, where

    def open(self, **more):
        return (
            (ProjectStore(Path(self.where), **more)) if self.kind == "files" else PostgresProjects(self.where, **more)
        )


def closed(store):
    if isinstance(store, PostgresProjects):
        store.close()


@pytest.fixture(params=["files", "postgres"])
def shelf(request, tmp_path):
    return Shelf(
        request.param,
        str(tmp_path / "s") if request.param == "files" else request.getfixturevalue("postgres").database(),
    )


@pytest.fixture
def store(shelf):
    found = shelf.open(clock=lambda: datetime(2026, 11, 3, 12, tzinfo=UTC))
    yield found
    closed(found)


def test_a_project_is_found_by_label_and_by_id_in_another_process(store, shelf):
    made = store.create("lung", ProjectSettings(whole_weeks=True, custodian_public_key=bytes(range(32))))
    assert re.fullmatch(r"[0-9a-f]{32}", made.id)
    assert made.created == "2026-11-03T12:00:00+00:00"
    other = shelf.open()
    assert other.get("lung") == other.get(made.id) == made
    assert other.list() == (made,)
    assert other.damaged() == ()
    closed(other)


def test_a_label_is_given_once(store):
    store.create("Lung")
    assert code_of(store.create, "lung") == "LNK-002"
    assert code_of(store.create, "a b") == "LNK-004"
    assert code_of(store.create, "x", ProjectSettings(prefix="a")) == "LNK-005"
    assert code_of(store.get, "heart") == "LNK-001"
    assert len(store.list()) == 1


def test_what_comes_before_a_project_hinders_it(store):
    def fails(project):
        raise ConnectionError(project.label)

    with pytest.raises(ConnectionError):
        store.create("lung", before=fails)
    assert store.list() == ()
    assert store.create_anonymous().label.startswith("run-20261103-")


def test_the_first_run_pins_and_another_is_refused(store, shelf):
    store.create("lung")
    pinned = store.pin("lung", PINS)
    assert pinned.pins == PINS
    assert store.pin("lung", replace(PINS, profiles=PINS.profiles[::-1])) == pinned
    assert code_of(store.pin, "lung", replace(PINS, standard_edition="2027a")) == "LNK-003"
    assert code_of(store.pin, "lung", RunPins("x")) == "LNK-005"
    more = store.pin("lung", replace(PINS, model_weights={"face": "c" * 64}))
    assert more.pins.model_weights == {"ocr": "b" * 64, "face": "c" * 64}
    assert store.get("lung") == more


def test_an_upgrade_opens_a_revision_and_remembers_the_one_before(store):
    store.create("lung")
    store.pin("lung", PINS)
    assert store.upgrade("lung", PINS).revision == 1
    newer = replace(PINS, recipe_digest="d" * 64)
    upgraded = store.upgrade("lung", newer)
    assert (upgraded.revision, upgraded.pins, upgraded.earlier_pins) == (2, newer, (PINS,))
    assert store.get("lung") == upgraded
    assert code_of(store.pin, "lung", PINS) == "LNK-003"
    assert store.upgrade("lung", PINS).earlier_pins == (PINS, newer)
    store.create("heart")
    assert store.upgrade("heart", PINS).revision == 1  # nothing was pinned yet


def test_an_epoch_is_opened_after_its_key_was_made(store):
    store.create("lung")
    told = []
    assert store.open_epoch("lung", before=told.append).epoch == 2
    assert [project.epoch for project in told] == [2]

    def fails(project):
        raise ConnectionError(project.label)

    with pytest.raises(ConnectionError):
        store.open_epoch("lung", before=fails)
    assert store.get("lung").epoch == 2


def test_a_destroyed_project_is_listed_and_not_given(store):
    made = store.create("lung")
    assert store.mark_destroyed(made.id).destroyed
    assert code_of(store.get, "lung") == "LNK-009"
    for change in (lambda: store.pin("lung", PINS), lambda: store.upgrade("lung", PINS)):
        assert code_of(change) == "LNK-009"
    assert [project.destroyed for project in store.list()] == [True]
    assert code_of(store.create, "lung") == "LNK-002"
    assert store.mark_destroyed("lung").destroyed
    assert code_of(store.mark_destroyed, "heart") == "LNK-001"


def damage(shelf, project, document):
    if shelf.kind == "files":
        (Path(shelf.where) / "projects" / f"{project.id}.json").write_text(document)
        return
    database = Database(shelf.where)
    database.use(
        lambda connection: connection.execute("UPDATE project SET document = %s WHERE id = %s", (document, project.id))
    )
    database.close()


@pytest.mark.parametrize("document", ["{", "[]", '{"format": 2}'])
def test_a_damaged_document_hinders_no_other_project(store, shelf, document):
    good, bad = store.create("lung"), store.create("heart")
    damage(shelf, bad, document)
    assert store.get("lung") == good
    assert store.list() == (good,)
    assert store.damaged() == (bad.id,)
    assert store.pin("lung", PINS).pins == PINS
    assert code_of(store.get, "heart") == "LNK-013"
    assert code_of(store.create, "third") == "LNK-013"  # its label may be taken


def _create(shelf):
    store = shelf.open()
    made = []
    for label in range(20):
        try:
            made.append(store.create(f"p{label}").label)
        except Exception as error:  # noqa: BLE001 (told by its code)
            assert error.code == "LNK-002"  # noqa: PT017
    closed(store)
    return made


def test_processes_that_make_the_same_projects_make_each_once(shelf):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, other = pool.map(_create, [shelf, shelf])
    assert sorted(one + other) == sorted(f"p{label}" for label in range(20))
