# SPDX-License-Identifier: Apache-2.0
"""All Observations of a request: those sent alone, and those contained in panels and reports.

A member of a panel that names no time has the time of its panel; a contained Observation has its
subject and status too, for it exists only inside.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from cds_service.fhir.elements import Reference, many, plain_code
from cds_service.fhir.resources import DiagnosticReport, Observation, inside
from cds_service.intake.resource_index import ResourceIndex, local_name
from cds_service.intake.results import Panel, SourceObservation

_WITHDRAWN = {"entered-in-error", "cancelled"}  # and with it what exists only inside


def observations_with_panels(index: ResourceIndex) -> tuple[list[SourceObservation], bool]:
    """Every Observation with its panel, in the order they came.

    Also whether a panel or report names a result that is not among them.
    """
    sent = index.entries(Observation)
    reports = index.all_of(DiagnosticReport)
    panels = _panels([resource for _, resource in sent], reports)
    sources: list[SourceObservation] = []
    for full_url, observation in sent:
        reference = f"Observation/{observation.id}" if observation.id else ""
        panel = (panels.get(reference) or panels.get(full_url or "")) if panels else None
        sources.append(SourceObservation(observation=observation, reference=reference, panel=panel))
        if observation.contained:
            sources.extend(_contained(observation, reference))
    for report in reports:
        if report.contained:
            sources.extend(_contained(report, f"DiagnosticReport/{report.id}" if report.id else ""))
    grouped: list[Panel] = [*reports, *(one for _, one in sent if one.has_member)]
    return sources, bool(grouped) and _is_any_missing(grouped, sent, sources)


def _is_any_missing(
    panels: Iterable[Panel],
    sent: list[tuple[str | None, Observation]],
    sources: list[SourceObservation],
) -> bool:
    here = {full_url for full_url, _ in sent} | {local_name(url) for url, _ in sent if url}
    here.update(source.reference for source in sources)
    return any(
        _is_missing(member.reference or "", panel, here)
        for panel in panels
        for member in _members(panel)
    )


def _is_missing(name: str, panel: Panel, here: set[str | None]) -> bool:
    if name.startswith("#"):
        inside_it = {
            (getattr(one, "id", None) or "").lstrip("#") for one in inside(panel.contained)
        }
        return name.lstrip("#") not in inside_it
    return name not in here and local_name(name) not in here


def _members(panel: Panel) -> Sequence[Reference]:
    return many(panel.has_member if isinstance(panel, Observation) else panel.result)


def _panels(observations: list[Observation], reports: list[DiagnosticReport]) -> dict[str, Panel]:
    panels: dict[str, Panel] = {}
    for report in reports:
        if not _is_withdrawn(report):
            _register(report, many(report.result), panels)
    for observation in observations:
        if observation.has_member and not _is_withdrawn(observation):
            _register(observation, many(observation.has_member), panels)
    return panels


def _is_withdrawn(panel: Panel) -> bool:
    return plain_code(panel.status) in _WITHDRAWN


def _register(panel: Panel, members: object, panels: dict[str, Panel]) -> None:
    for member in members if isinstance(members, list | tuple) else ():
        if isinstance(member, Reference) and member.reference:
            panels[member.reference] = panel
            panels[local_name(member.reference)] = panel


def _contained(panel: Panel, reference: str) -> Iterator[SourceObservation]:
    for one in inside(panel.contained):
        if isinstance(one, Observation):
            status = panel.status if _is_withdrawn(panel) else one.status or panel.status
            completed = replace(one, subject=one.subject or panel.subject, status=status)
            place = f"{reference}#{(one.id or '').lstrip('#')}" if reference else ""
            yield SourceObservation(observation=completed, reference=place, panel=panel)
