"""The manifest: what is changed, taken out, doubled, moved or cut off is found, and files follow the state."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading

import pytest
from tests.support.releasing import Probe, World, all_released, route

from tarnhelm.cli.main import run
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.manifest import GENESIS, ManifestKey, ReleaseEntry, load_public_key, signed_line, verify_lines
from tarnhelm.gateway.manifest.files import ManifestFiles

DAY = 86_400


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return ManifestKey.open(tmp_path_factory.mktemp("key") / "manifest.key")


def chain(key, count=6, writer="gateway", start=0.0, first=0, previous=GENESIS):
    found = []
    for number in range(first + 1, first + count + 1):
        facts = ObjectFacts(subject_id="TH-1", study_uid="2.25.1", sop_uid=f"2.25.{number}")
        entry = ReleaseEntry(
            f"{writer}-{number}", "p", facts, "x/1.dcm", "a" * 64, 7, "r", "p", "d", "v", ("pacs",), start + number
        )
        found.append(signed_line(key, writer, number, previous, entry))
        previous = hashlib.sha256(found[-1]).hexdigest()
    return found


def changed(line, **fields):
    whole = json.loads(line)
    whole["document"].update(fields)
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def test_a_whole_chain_and_several_writers_are_right(key):
    one, two = chain(key), chain(key, 3, "second")
    mixed = [one[0], two[0], two[1], *one[1:], two[2]]
    found = verify_lines(mixed, [key.public], whole=True)
    assert (found.bad_line, found.lines) == (0, 9)
    assert found.chains["gateway"].head == hashlib.sha256(one[-1]).hexdigest()
    assert (found.chains["second"].first, found.chains["second"].last) == (1, 3)


def attacks():
    def swap(lines):
        lines[2], lines[3] = lines[3], lines[2]
        return lines

    return {
        "deleted": (lambda lines: lines[:2] + lines[3:], 3, "order"),
        "first deleted": (lambda lines: lines[1:], 1, "order"),
        "moved": (swap, 3, "order"),
        "doubled": (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4, "order"),
        "changed": (lambda lines: [*lines[:3], changed(lines[3], size=8), *lines[4:]], 4, "signature"),
        "renumbered": (lambda lines: [*lines[:2], changed(lines[3], sequence=3), *lines[4:]], 3, "signature"),
        "respelt": (lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]], 1, "signature"),
        "torn": (lambda lines: [*lines[:5], lines[5][:-9]], 6, "signature"),
        "empty line": (lambda lines: [*lines[:2], b"", *lines[2:]], 3, "signature"),
        "no json": (lambda lines: [b"[]", *lines], 1, "signature"),
    }


@pytest.mark.parametrize("attack", attacks())
def test_an_attack_is_found_at_its_line(key, attack):
    work, line, reason = attacks()[attack]
    found = verify_lines(work(chain(key)), [key.public], whole=True)
    assert (found.bad_line, found.reason) == (line, reason)


def test_a_line_of_another_key_and_of_another_chain_does_not_fit(key, tmp_path):
    other = ManifestKey.open(tmp_path / "other.key")
    assert verify_lines(chain(other), [key.public]).reason == "signature"
    assert verify_lines(chain(other), [key.public, other.public]).bad_line == 0
    own, foreign = chain(key, 3), chain(other, 3)
    assert verify_lines([*own[:2], foreign[2]], [key.public, other.public]).reason == "order"


def test_an_object_that_stands_twice_is_found(key):
    one = chain(key, 1)[0]
    whole = json.loads(one)["document"]
    facts = ObjectFacts(subject_id="TH-1", study_uid="2.25.1", sop_uid="2.25.1")
    entry = ReleaseEntry(whole["object"], "p", facts, "x/1.dcm", "a" * 64, 7, "r", "p", "d", "v", ("pacs",), 1.0)
    again = signed_line(key, "gateway", 2, hashlib.sha256(one).hexdigest(), entry)
    assert verify_lines([one, again], [key.public]).reason == "object"


def test_the_key_is_private_and_read_again(tmp_path):
    path = tmp_path / "keys" / "manifest.key"
    made = ManifestKey.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert ManifestKey.open(path).public_pem() == made.public_pem() == path.with_name("manifest.key.pub").read_bytes()
    assert load_public_key(path.with_name("manifest.key.pub")).public_bytes_raw() == made.public.public_bytes_raw()
    path.chmod(0o640)
    for call in (lambda: ManifestKey.open(path), lambda: load_public_key(path), lambda: load_public_key(tmp_path)):
        with pytest.raises(TarnhelmError) as caught:
            call()
        assert caught.value.code == "DLV-030"


def test_several_processes_that_make_the_key_make_one(tmp_path):
    found = []
    begin = threading.Barrier(8)

    def work():
        begin.wait(30)
        found.append(ManifestKey.open(tmp_path / "manifest.key").public_pem())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == 1
    assert len(found) == 8


class Chain:
    """The state, as far as the files see it."""

    def __init__(self, lines):
        self.lines = lines

    def __call__(self, after):
        return list(enumerate(self.lines, 1))[after:]


def contents(folder):
    return {path.name: path.read_bytes().splitlines() for path in sorted(folder.glob("*.jsonl"))}


def test_files_hold_one_day_each_and_follow_the_state(key, tmp_path):
    first = chain(key, 3, start=10 * DAY)
    last = hashlib.sha256(first[-1]).hexdigest()
    second = chain(key, 2, start=11 * DAY, first=3, previous=last)
    state = Chain(list(first))
    files = ManifestFiles(tmp_path / "m", "gateway", state)
    assert files.append() == 3
    assert files.append() == 0
    state.lines += second
    assert ManifestFiles(tmp_path / "m", "gateway", state).append() == 2
    assert contents(tmp_path / "m") == {"gateway.1970-01-11.jsonl": first, "gateway.1970-01-12.jsonl": second}


@pytest.mark.parametrize("left", [1, 100, 5000])
def test_a_line_that_a_crash_tore_is_written_again(key, tmp_path, left):
    lines = chain(key, 8)
    state = Chain(lines)
    ManifestFiles(tmp_path, "gateway", state).append()
    path = tmp_path / "gateway.1970-01-01.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    ManifestFiles(tmp_path, "gateway", state).append()
    assert path.read_bytes() == whole


def test_a_clock_that_is_set_back_opens_no_old_file(key, tmp_path):
    first = chain(key, 2, start=20 * DAY)
    second = chain(key, 2, start=3 * DAY, first=2, previous=hashlib.sha256(first[-1]).hexdigest())
    state = Chain(list(first))
    ManifestFiles(tmp_path, "gateway", state).append()
    state.lines += second
    ManifestFiles(tmp_path, "gateway", state).append()
    assert contents(tmp_path) == {"gateway.1970-01-21.jsonl": first + second}


@pytest.fixture(scope="module")
def five_released(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    world = World(root)
    for number in range(1, 6):
        world.verified(number)
    with world.running(route(Probe("pacs"))):
        all_released(world, 5)
    world.close()
    return root


@pytest.fixture
def released(five_released, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(five_released, tmp_path / "world", ignore=shutil.ignore_patterns("broker"))


def verify(*arguments):
    return run(["manifest", "verify", *map(str, arguments)], None)


def test_the_command_reads_files_folder_and_state(released, capsys):
    key = ["--key", released / "manifest.key.pub"]
    (file,) = (released / "manifest").glob("*.jsonl")
    assert verify(file, *key) == 0
    assert verify(released / "manifest", *key) == 0
    assert verify("--state", released / "deliveries.sqlite", *key) == 0
    said = capsys.readouterr().out
    assert said.count("5 lines, all as they were written.") == 3
    assert "gateway  lines 1 to 5" in said


def test_the_command_names_the_first_bad_line(released, capsys):
    key = ["--key", released / "manifest.key.pub"]
    (file,) = (released / "manifest").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert verify(file, *key) == 3
    said = capsys.readouterr()
    assert "Line 3 is not the next one" in said.out
    assert "DLV-031" in said.err


def test_the_command_finds_a_cut_end_by_a_noted_head(released, capsys):
    key = ["--key", released / "manifest.key.pub"]
    (file,) = (released / "manifest").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    head = f"gateway:5:{hashlib.sha256(lines[4].rstrip()).hexdigest()}"
    assert verify(file, *key, "--head", head) == 0
    file.write_bytes(b"".join(lines[:4]))
    assert verify(file, *key) == 0
    assert verify(file, *key, "--head", head) == 3
    assert "cut off" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nowhere"],
        ["manifest"],
        ["manifest", "--state", "deliveries.sqlite"],
        ["--state", "nowhere"],
        ["manifest", "--head", "x"],
        ["--state-address-file", "nowhere"],
    ],
)
def test_the_command_says_what_it_cannot_read(released, arguments, monkeypatch):
    monkeypatch.chdir(released)
    wanted = [] if arguments == ["manifest"] else ["--key", released / "manifest.key.pub"]
    assert verify(*arguments, *wanted) == 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TarnhelmError) as caught:
        ManifestFiles(tmp_path / "file" / "manifest", "gateway", Chain([]))
    assert caught.value.code == "DLV-032"


def test_a_newest_file_that_somebody_wrote_into_is_not_appended_to(key, tmp_path):
    (tmp_path / "gateway.1970-01-01.jsonl").write_bytes(b"nonsense\n")
    with pytest.raises(TarnhelmError) as caught:
        ManifestFiles(tmp_path, "gateway", Chain(chain(key, 2))).append()
    assert caught.value.code == "DLV-031"
