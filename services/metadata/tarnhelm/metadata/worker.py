"""The cores that run inside the metadata service's worker processes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import STAGE_CONFIG, TarnhelmError
from tarnhelm.common.sandbox import SteppedCore
from tarnhelm.common.stage import CONFIG, CONFIG_DIGEST, STAGE
from tarnhelm.metadata.core.config_json import config_of
from tarnhelm.metadata.core.finalise import FinaliseCore
from tarnhelm.metadata.core.stage import MetadataCore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tarnhelm.common.assign import AssignReply, AssignRequest
    from tarnhelm.common.limits import Limits
    from tarnhelm.common.stage import StageJob, StageOutcome
    from tarnhelm.metadata.core.plan import MetadataConfig

__all__ = ["FACTORY", "STAGES", "ConfiguredCores", "make_worker"]

FACTORY: Final = "tarnhelm.metadata.worker:make_worker"
_CORES_KEPT: Final = 8
_Core = MetadataCore | FinaliseCore


def _metadata(config: MetadataConfig) -> MetadataCore:
    # The service has hashed the source when it came in; the pump knows which stages come after this one.
    return MetadataCore(config, hash_source=False, refuse_unchecked=False, overwrite=True)


def _finalise(config: MetadataConfig) -> FinaliseCore:
    return FinaliseCore(config, overwrite=True)


_MAKERS: Final[dict[str, Callable[[MetadataConfig], _Core]]] = {"metadata": _metadata, "finalise": _finalise}
STAGES: Final = tuple(_MAKERS)
"""The steps that these workers know."""


class ConfiguredCores(SteppedCore):
    """Cores of the configurations that come with the jobs; the last few are kept compiled.

    Parameters
    ----------
    limits
        Bounds of every core; not the affair of a configuration.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._cores: OrderedDict[tuple[str, str], _Core] = OrderedDict()

    def begin(self, job: StageJob) -> Generator[AssignRequest, AssignReply, StageOutcome]:
        """Work on one object, as its options say.

        Raises
        ------
        TarnhelmError
            ``STG-010`` for a configuration that cannot be used, and whatever the core raises.
        """
        return (yield from self._core(job).steps(job))

    def _core(self, job: StageJob) -> _Core:
        try:
            stage, digest, document = (job.options[name] for name in (STAGE, CONFIG_DIGEST, CONFIG))
            make = _MAKERS[stage]
        except KeyError:
            raise TarnhelmError(STAGE_CONFIG) from None
        found = self._cores.get((stage, digest))
        if found is None:
            found = make(config_of(document, self._limits))
            self._cores[stage, digest] = found
            if len(self._cores) > _CORES_KEPT:
                self._cores.popitem(last=False)
        else:
            self._cores.move_to_end((stage, digest))
        return found


def make_worker(config: Any) -> ConfiguredCores:
    """Make the core of one worker out of its bounds."""
    return ConfiguredCores(config)
