"""Every method of every service of the protocols is served; the generated bases alone answer UNIMPLEMENTED."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tarnhelm.common.stage_service.service import StageService
from tarnhelm.gateway.admin.service import AdminService
from tarnhelm.linkage.service import AssignService
from tarnhelm.reveal.server.service import RevealService
from tarnhelm.witness.service import WitnessService

SERVED = {
    "AdminService": AdminService,
    "AssignService": AssignService,
    "RevealService": RevealService,
    "StageService": StageService,
    "WitnessService": WitnessService,
}


def generated():
    folder = Path(__file__).parents[2] / "protos/gen/tarnhelm/v1"
    for path in sorted(folder.glob("*_pb2_grpc.py")):
        module = importlib.import_module(f"tarnhelm.v1.{path.stem}")
        for name in vars(module):
            if name.endswith("Servicer"):
                yield name.removesuffix("Servicer"), getattr(module, name)


def test_all_services_are_looked_at():
    assert {name for name, _ in generated()} == set(SERVED)


@pytest.mark.parametrize(("name", "base"), list(generated()))
def test_every_method_is_served(name, base):
    methods = [method for method in vars(base) if not method.startswith("_")]
    assert methods
    for method in methods:
        assert getattr(SERVED[name], method) is not getattr(base, method), method
