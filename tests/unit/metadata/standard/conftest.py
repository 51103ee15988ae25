import importlib.util
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
FACTS = REPOSITORY.parent / "shared/data/ps3.15"


def load_tool(name):
    """Import a module of ``tools/``, which is no package."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def standard_facts():
    return load_tool("standard_facts")


@pytest.fixture(scope="session")
def build_standard(standard_facts):
    return load_tool("build_standard")


@pytest.fixture(scope="session")
def facts_folder():
    if not FACTS.is_dir():
        pytest.skip("the extracted facts of PS3.15 are not here")
    return FACTS
