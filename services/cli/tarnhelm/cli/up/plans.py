"""From the recipes of a configuration to plans in the state: the one step that understands recipes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from tarnhelm.cli.pins import pins_of
from tarnhelm.cli.services import Recipe
from tarnhelm.cli.sites import read_text, site_for
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.ids import canonical_digest
from tarnhelm.common.limits import DEFAULT_LIMITS
from tarnhelm.gateway.config.parts import open_state
from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from tarnhelm.cli.places import Places
    from tarnhelm.cli.services import Prepared, Services
    from tarnhelm.gateway.config import GatewayConfig
    from tarnhelm.gateway.config.sections import ProjectSection
    from tarnhelm.linkage.core.projects import Project, Projects

__all__ = ["compile_plan", "known_ids", "pinned", "publish_plans", "software_version"]


def known_ids(config: GatewayConfig, linkage: LocalLinkage, *, make: bool) -> GatewayConfig:
    """Look up the ids of projects that the configuration names by labels alone.

    Parameters
    ----------
    make
        Make a project that is not there yet.

    Raises
    ------
    TarnhelmError
        LNK-001 for an unknown project that may not be made.
    """
    there = {project.label: project.id for project in linkage.projects.list() if not project.destroyed}
    found: dict[str, ProjectSection] = {}
    for label, section in config.projects.items():
        opaque = section.id or there.get(label, "")
        if not opaque:
            opaque = linkage.create(label).id if make else linkage.projects.get(label).id
        found[label] = dataclasses.replace(section, id=opaque)
    return dataclasses.replace(config, projects=found)


def compile_plan(section: ProjectSection, site: str, services: Services, version: str) -> tuple[ProjectPlan, Prepared]:
    """Compile the plan of a project.

    Parameters
    ----------
    site
        What the project pins of its site.

    Raises
    ------
    TarnhelmError
        All mistakes of the recipe; CFG-002 where it cannot be read.
    """
    text = None
    if section.recipe_file is not None:
        try:
            text = section.recipe_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise TarnhelmError(errors.CONFIG_UNREADABLE) from None
    recipe = Recipe(
        text=text,
        name=section.recipe_file.name if section.recipe_file is not None else "default",
        profiles=section.profiles,
        variables=tuple(sorted(section.variables.items())),
        site=site,
    )
    prepared = services.prepare(recipe, DEFAULT_LIMITS)
    plan = ProjectPlan(
        project=section.id,
        core_digest=canonical_digest({"plan": prepared.digest, "version": version}),
        config=services.config_text(prepared),
        policy=json.dumps(dict(prepared.policy)),
        policy_digest=prepared.policy_digest,
        recipe_digest=prepared.recipe_digest,
        accept_unchecked_pixels=section.accept_unchecked_pixels,
    )
    return plan, prepared


def pinned(projects: Projects, label: str, prepared: Prepared) -> None:
    """Pin what a project works with from now on; raises LNK-003 where it was pinned to something else."""
    projects.pin(label, pins_of(prepared))


def publish_plans(
    config: GatewayConfig, services: Services, places: Places, *, make: bool
) -> list[tuple[str, str, bool]]:
    """Compile the plans of a configuration and put them into the state.

    Parameters
    ----------
    make
        Make projects that are not there yet, and look ids up in this machine's own projects.

    Returns
    -------
    For each project its label, the digest of its plan, and whether that is another one than before.
    """
    linkage = LocalLinkage(places.root)
    config = known_ids(config, linkage, make=make)
    there = {project.id: project for project in linkage.projects.list()}
    done: list[tuple[str, str, bool]] = []
    with contextlib.closing(open_state(config)) as state:
        for label, section in config.projects.items():
            project = there.get(section.id)
            site = _site(project, section, services)
            plan, prepared = compile_plan(section, site, services, software_version())
            if project is not None:
                pinned(linkage.projects, project.label, prepared)
            before = state.current_plan(section.id)
            new = before is None or before.digest != plan.digest
            if new:
                state.put_plan(plan)
            done.append((label, plan.digest, new))
    return done


def _site(project: Project | None, section: ProjectSection, services: Services) -> str:
    """Return what the site adds: what the project pins, or the file where the project is held elsewhere."""
    if project is not None:
        return site_for(project, section.site_file, services)
    return services.site(read_text(section.site_file)) if section.site_file is not None else ""


def software_version() -> str:
    """Version of the installed distribution; part of each plan's digest."""
    try:
        return version("tarnhelm")
    except PackageNotFoundError:
        return "unpacked"
