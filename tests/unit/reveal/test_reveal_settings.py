"""Settings that are not understood are refused whole."""

from __future__ import annotations

import pytest
from reveal_hospital import code_of

from tarnhelm.reveal.core.audit.anchors import DirectoryAnchor
from tarnhelm.reveal.core.audit.syslog import Syslog
from tarnhelm.reveal.core.audit.writer import AuditSettings
from tarnhelm.reveal.core.desk import DeskLimits
from tarnhelm.reveal.settings import RevealSettings, anchor_of, parse_settings, settings_text

ROOT = "ab" * 32


def test_settings_read_back_as_they_were_written():
    given = RevealSettings(
        ROOT,
        "hall-2",
        ('/mnt/a "quoted" \\ share', "tls://log:6514?ca=/etc/ca.pem"),
        ("unix:///dev/log",),
        DeskLimits(1, 2, 3, 4, 5),
        AuditSettings(6, 7, 8, 9.5),
    )
    assert parse_settings(settings_text(given)) == given
    assert parse_settings(settings_text(RevealSettings(ROOT))) == RevealSettings(ROOT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("format = 1", "format = 2"),
        ("format = 1", "format = 1\nunheard = 1"),
        (ROOT, ROOT[:-1]),
        ("surrogates_per_case = 100", "surrogates_per_case = 0"),
        ("surrogates_per_case = 100", "surrogates_per_case = true"),
        ("surrogates_per_case = 100", 'surrogates_per_case = "many"'),
        ("surrogates_per_case = 100", "surrogates_per_kase = 100"),
        ('writer = "local"', 'writer = "../x"'),
        ("anchors = []", 'anchors = ["relative/path"]'),
        ("anchors = []", "anchors = [1]"),
        ("syslog = []", 'syslog = ["ftp://log"]'),
        ("head_every_lines = 64", "head_every_lines = 6.4"),
        ("[limits]", "[limits"),
    ],
)
def test_anything_not_understood_is_refused(before, after):
    text = settings_text(RevealSettings(ROOT)).decode()
    assert before in text
    assert code_of(lambda: parse_settings(text.replace(before, after, 1).encode())) == "RVL-031"


def test_an_anchor_is_a_directory_or_a_log_server():
    assert isinstance(anchor_of("/mnt/share"), DirectoryAnchor)
    assert isinstance(anchor_of("udp://log"), Syslog)
    assert code_of(lambda: parse_settings(b"\xff")) == "RVL-031"
