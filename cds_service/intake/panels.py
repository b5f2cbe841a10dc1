# SPDX-License-Identifier: Apache-2.0
"""All Observations of a request: those sent alone, and those contained in panels and reports.

A member of a panel that names no time has the time of its panel, if the panel is the patient's; a
contained Observation has its subject and status too, for it exists only inside.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from cds_service.fhir.elements import Reference, many, plain_code
from cds_service.fhir.resources import DiagnosticReport, Observation, inside
from cds_service.intake.resource_index import ResourceIndex, local_name
from cds_service.intake.results import Panel, SourceObservation
from cds_service.labs.set_aside_reasons import SetAsideReason

_WITHDRAWN = {"entered-in-error", "cancelled"}  # and with it what exists only inside


def observations_of(index: ResourceIndex) -> list[SourceObservation]:
    """Every Observation in the order they came; a contained one with what contains it."""
    sources: list[SourceObservation] = []
    for full_url, observation in index.entries(Observation):
        reference = f"Observation/{observation.id}" if observation.id else ""
        sources.append(
            SourceObservation(observation=observation, reference=reference, address=full_url or "")
        )
        if observation.contained is not None:
            sources.extend(_contained(observation, reference))
    for report in index.all_of(DiagnosticReport):
        if report.contained is not None:
            sources.extend(_contained(report, f"DiagnosticReport/{report.id}" if report.id else ""))
    return sources


def with_panels(
    sources: list[SourceObservation],
    index: ResourceIndex,
    why_not: Callable[[Panel], SetAsideReason | None],
) -> list[SourceObservation]:
    """The Observations with the panel or report that names each, if nothing speaks against it."""
    panels = _panels(sources, index, why_not)
    if not panels:
        return sources
    return [
        replace(source, panel=panels.get(source.reference) or panels.get(source.address))
        if source.panel is None
        else source
        for source in sources
    ]


def is_any_missing(sources: list[SourceObservation], index: ResourceIndex) -> bool:
    """Whether a panel or report names a result that is not among the Observations."""
    reports = index.all_of(DiagnosticReport)
    grouping = [source for source in sources if source.observation.has_member]
    if not (reports or grouping):
        return False
    here = {source.reference for source in sources}
    for source in sources:
        here |= {source.address, local_name(source.address)}
    here.discard("")  # a member without a reference names none of those without an address
    return any(_lacks_any(many(report.result), (report,), here) for report in reports) or any(
        _lacks_any(many(source.observation.has_member), (source.observation, source.panel), here)
        for source in grouping
    )


def _lacks_any(
    members: Iterable[Reference], holders: Iterable[Panel | None], here: set[str]
) -> bool:
    contained = {
        (getattr(resource, "id", None) or "").lstrip("#")
        for holder in holders
        if holder
        for resource in inside(holder.contained)
    }
    return any(
        name[1:] not in contained
        if name.startswith("#")
        else name not in here and local_name(name) not in here
        for name in (member.reference or "" for member in members)
    )


def _panels(
    sources: list[SourceObservation],
    index: ResourceIndex,
    why_not: Callable[[Panel], SetAsideReason | None],
) -> dict[str, Panel]:
    """The panel or report by the name of each of its members; of several one that has a time."""
    panels: dict[str, Panel] = {}
    for report in index.all_of(DiagnosticReport):
        if report.result and not _is_withdrawn(report) and not why_not(report):
            _register(report, many(report.result), panels)
    for observation in (source.observation for source in sources if source.panel is None):
        if observation.has_member and not _is_withdrawn(observation) and not why_not(observation):
            _register(observation, many(observation.has_member), panels)
    return panels


def _is_withdrawn(panel: Panel) -> bool:
    return plain_code(panel.status) in _WITHDRAWN


def _register(panel: Panel, members: Sequence[Reference], panels: dict[str, Panel]) -> None:
    for member in members:
        for name in {member.reference, local_name(member.reference or "")} - {None, ""}:
            there = panels.get(name or "")
            if there is None or _how_dated(panel) >= _how_dated(there):
                panels[name or ""] = panel


def _how_dated(panel: Panel) -> int:
    if panel.effective_date_time or panel.effective_period:
        return 2
    return 1 if panel.issued else 0


def _contained(panel: Panel, reference: str) -> Iterator[SourceObservation]:
    for resource in inside(panel.contained):
        if isinstance(resource, Observation | DiagnosticReport):
            status = panel.status if _is_withdrawn(panel) else resource.status or panel.status
            completed = replace(resource, subject=resource.subject or panel.subject, status=status)
            place = f"{reference}#{(resource.id or '').lstrip('#')}" if reference else ""
            if isinstance(completed, Observation):
                yield SourceObservation(observation=completed, reference=place, panel=panel)
            if completed.contained is not None:
                yield from _contained(completed, place)
