# SPDX-License-Identifier: Apache-2.0
"""What a FHIR search or read gave, as CDS Hooks prefetch passes it on (2.0.1, "Prefetch Template").

A key that is absent was not asked for and has no `Fetched`. `null` was asked for and is nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cds_service.errors import PayloadTooLarge
from cds_service.fhir.elements import many
from cds_service.fhir.resources import Bundle, Entry, OperationOutcome, Resource

State = Literal["found", "nothing", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The answer to one question: what was found, and whether that is all there is.

    `faulty` says that an error came beside what was found; `total` is how many matches the
    server says there are (0 if it does not say), `matches` how many came. `tail` says that of a
    part only the end is missing, if it is in order.
    """

    state: State
    entries: tuple[Entry, ...] = ()
    partial: bool = False
    faulty: bool = False
    total: int = 0
    matches: int = 0
    tail: bool = False
    next_page: str | None = None


NOTHING_THERE = Fetched(state="nothing")
FAILED = Fetched(state="failed")


def fetched(resource: Resource | None, max_depth: int) -> Fetched:
    """The answer that a prefetched value is; an OperationOutcome in its place is a failure."""
    if resource is None:
        return NOTHING_THERE
    if isinstance(resource, Bundle):
        return page_of(resource, max_depth)
    if isinstance(resource, OperationOutcome):
        return FAILED
    return Fetched(state="found", entries=(Entry(resource=resource),))


def page_of(bundle: Bundle, max_depth: int) -> Fetched:
    """The answer that a Bundle is; Bundles inside it are opened, to `max_depth`.

    Raises `PayloadTooLarge` for Bundles nested deeper than that.
    """
    entries: list[Entry] = []
    faulty = _collect(bundle, max_depth, entries)
    if faulty and not entries:
        return FAILED
    next_page, total, matches = next_of(bundle), _total(bundle), _matches(bundle)
    partial = next_page is not None or faulty or total > matches
    return Fetched(
        state="found" if entries else "nothing",
        entries=tuple(entries),
        partial=partial,
        tail=partial and not faulty,
        faulty=faulty,
        total=total,
        matches=matches,
        next_page=next_page,
    )


def joined(pages: Sequence[Fetched], *, whole: bool) -> Fetched:
    """The pages of one search as one answer; `whole` says that no page is missing.

    A page that failed tells of nothing, and makes what the others hold a part. So does a server
    that has more matches than it sent. What is missing of such a part may be anything.
    """
    entries = tuple(entry for page in pages for entry in page.entries)
    faulty = any(page.faulty or page.state == "failed" for page in pages)
    if not entries and (faulty or not whole):
        return FAILED
    total = max((page.total for page in pages), default=0)
    matches = sum(page.matches for page in pages)
    return Fetched(
        state="found" if entries else "nothing",
        entries=entries,
        partial=faulty or not whole or total > matches,
        faulty=faulty,
        total=total,
        matches=matches,
    )


def next_of(bundle: Bundle) -> str | None:
    """The address of the next page, as the server gives it."""
    return link_of(bundle, "next")


def link_of(bundle: Bundle, relation: str) -> str | None:
    """The first link of this relation."""
    return next((link.url for link in many(bundle.link) if link.relation == relation), None)


def _collect(bundle: Bundle, depth: int, entries: list[Entry]) -> bool:
    """Add the entries that carry data; whether an error was among the others."""
    if depth < 1:
        raise PayloadTooLarge("Bundles are nested too deeply.")
    failed = False
    for entry in many(bundle.entry):
        resource = entry.resource
        if resource is None:
            failed = failed or _is_refused(entry)
        elif isinstance(resource, Bundle):
            failed = _collect(resource, depth - 1, entries) or _is_part(resource) or failed
        elif isinstance(resource, OperationOutcome):
            failed = failed or _is_error(resource)
        else:
            entries.append(entry)
    return failed


def _is_part(bundle: Bundle) -> bool:
    """Whether a Bundle in a Bundle is not all there is; nobody follows its pages."""
    return next_of(bundle) is not None or _total(bundle) > _matches(bundle)


def _is_refused(entry: Entry) -> bool:
    """Whether the entry is the refusal of one question of a batch, which came with a 200."""
    status = entry.response.status if entry.response else None
    return (status or "")[:1] in {"4", "5"}


def _is_error(outcome: OperationOutcome) -> bool:
    # Epic says "no results" by a warning (search.mode outcome): that is not an error.
    return any(issue.severity in {"error", "fatal"} for issue in many(outcome.issue))


def _total(bundle: Bundle) -> int:
    text = bytes(bundle.total)
    return int(text) if text.isdigit() and len(text) < 10 else 0


def _matches(bundle: Bundle) -> int:
    # Bundle.total counts matches only, not included resources or outcomes.
    return sum(
        1
        for entry in many(bundle.entry)
        if entry.resource is not None
        and not isinstance(entry.resource, OperationOutcome)
        and (entry.search is None or entry.search.mode in {None, "match"})
    )
