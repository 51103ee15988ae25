"""What a process of one machine brings into its memory: no client that only a cluster, or another role, needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CLIENTS = ("kafka", "boto3", "botocore", "psycopg", "pynetdicom", "pydicom", "numpy", "starlette", "hvac")


@pytest.mark.parametrize("role", ["pumps", "release", "housekeeping"])
def test_a_role_imports_no_client_that_it_does_not_use(role):
    program = (
        "import sys, tarnhelm.gateway.__main__, tarnhelm.gateway.roles." + role + "\n"
        f"print(*sorted(set(sys.modules) & set({_CLIENTS!r})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []
