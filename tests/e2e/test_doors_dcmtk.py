"""DCMTK's callers before the DICOM door: echoscu, storescu, over TLS too, with each transfer syntax that they offer."""

from __future__ import annotations

import io
import shutil
import subprocess

import pydicom
import pytest
from pydicom.data import get_testdata_file
from tests.support.admitting import FullAdmitter, RecordingAdmitter
from tests.support.certificates import Authority
from tests.support.door_peers import instance, open_door, write_image

from tarnhelm.gateway.doors.dicom_settings import DicomTitle
from tarnhelm.gateway.part10 import read_head

pytestmark = pytest.mark.skipif(shutil.which("storescu") is None, reason="storescu is missing: apt-get install dcmtk")

SAMPLES = {
    "MR_small_implicit.dcm": "--propose-implicit",
    "CT_small.dcm": "--propose-little",
    "MR_small_bigendian.dcm": "--propose-big",
    "image_dfl.dcm": "--propose-deflated",
    "SC_rgb_dcmtk_+eb+cr.dcm": "--propose-jpeg8",
    "JPEG-lossy.dcm": "--propose-jpeg12",
    "SC_rgb_jpeg_gdcm.dcm": "--propose-lossless",
    "MR_small_jpeg_ls_lossless.dcm": "--propose-jls-lossless",
    "SC_rgb_jls_lossy_line.dcm": "--propose-jls-lossy",
    "MR_small_jp2klossless.dcm": "--propose-j2k-lossless",
    "693_J2KI.dcm": "--propose-j2k-lossy",
    "MR_small_RLE.dcm": "--propose-rle",
}
"""Name of a file of pydicom → the option under which its syntax is proposed."""


def run(program, *arguments, door, called="TARNHELM"):
    command = [program, "-aec", called, *arguments[:-1], "127.0.0.1", str(door.port), *arguments[-1:]]
    return subprocess.run([word for word in command if word], capture_output=True, text=True, timeout=120, check=False)


def test_echoscu_is_answered():
    with open_door(RecordingAdmitter()) as door:
        assert run("echoscu", "", door=door).returncode == 0
        assert run("echoscu", "", door=door, called="OTHER").returncode != 0


@pytest.mark.parametrize("name", SAMPLES)
def test_storescu_with_many_transfer_syntaxes(name, tmp_path):
    path = get_testdata_file(name, download=False)
    source = pydicom.dcmread(path)
    syntax = source.file_meta.TransferSyntaxUID
    admitter = RecordingAdmitter()
    with open_door(admitter) as door:
        done = run("storescu", "--required", SAMPLES[name], path, door=door)
    assert done.returncode == 0, done.stderr
    (taken,) = admitter.objects
    head = read_head(taken.content)
    assert (head.transfer_syntax_uid, head.sop_instance_uid) == (syntax, source.SOPInstanceUID)
    assert pydicom.dcmread(io.BytesIO(taken.content)).PixelData == source.PixelData


def test_an_association_with_five_hundred_images(tmp_path):
    for number in range(500):
        write_image(tmp_path / f"{number}.dcm", number, rows=64)
    admitter = RecordingAdmitter(keep=False)
    with open_door(admitter) as door:
        assert run("storescu", "+sd", str(tmp_path), door=door).returncode == 0
    assert sorted(entry.arrival.sop_instance_uid for entry in admitter.objects) == sorted(map(instance, range(500)))


def test_storescu_is_put_off_where_there_is_no_room(tmp_path):
    write_image(tmp_path / "a.dcm", 0)
    with open_door(FullAdmitter()) as door:
        done = run("storescu", str(tmp_path / "a.dcm"), door=door)
    assert done.returncode != 0
    assert "Temporary Congestion" in done.stdout + done.stderr


def test_storescu_over_tls(tmp_path):
    authority = Authority(tmp_path / "ca")
    server, client = authority.issue("door"), authority.issue("ct", "ct1.example")
    write_image(tmp_path / "a.dcm", 0)
    admitter = RecordingAdmitter()
    with open_door(
        admitter,
        titles={"TARNHELM": DicomTitle("p", certificate_names=("ct1.example",))},
        tls_certificate_file=server.certificate,
        tls_key_file=server.key,
        client_ca_file=authority.ca_file,
    ) as door:
        secured = ("+tls", str(client.key), str(client.certificate), "+cf", str(authority.ca_file))
        done = run("storescu", *secured, str(tmp_path / "a.dcm"), door=door)
        assert done.returncode == 0, done.stderr
        assert run("storescu", str(tmp_path / "a.dcm"), door=door).returncode != 0
    assert len(admitter.objects) == 1


def test_storescu_that_aborts_in_the_middle_leaves_nothing(tmp_path):
    write_image(tmp_path / "a.dcm", 0, rows=512)
    admitter = RecordingAdmitter()
    with open_door(admitter) as door:
        run("storescu", "--abort", str(tmp_path / "a.dcm"), door=door)
    assert admitter.open == 0
