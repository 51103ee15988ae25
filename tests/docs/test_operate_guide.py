"""The configuration that the guide on operating shows can be used."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.config import load_config

PAGE = Path(__file__).resolve().parents[2] / "docs/guides/operate-the-gateway.md"


def test_the_settings_of_the_guide_can_be_read(tmp_path: Path) -> None:
    for name in ("page.pem", "page.key", "admin.pem", "admin.key", "ca.pem", "oidc-secret"):
        (tmp_path / name).touch(mode=0o600)
    whole: dict[str, dict[str, object]] = {"projects": {"lung": {}}}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        for section, content in yaml.safe_load(block).items():
            whole.setdefault(section, {}).update(content)
    text = yaml.safe_dump({"state_dir": str(tmp_path / "state"), **whole})
    path = tmp_path / "gateway.yaml"
    path.write_text(text.replace("/etc/tarnhelm", str(tmp_path)).replace("/var/lib/tarnhelm", str(tmp_path)), "utf-8")
    web = load_config(path).web
    assert web.page is not None
    assert web.admin is not None
    assert web.page.oidc is not None
    assert web.page.oidc.roles == {"dicom-reviewers": Role.REVIEWER, "dicom-admins": Role.ADMIN}
    assert [caller.speaks_for_people for caller in web.admin.callers] == [True, False]
