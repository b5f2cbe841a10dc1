# SPDX-License-Identifier: Apache-2.0
"""What a FHIR search or read gave, as CDS Hooks prefetch passes it on (2.0.1, "Prefetch Template").

A key that is absent was not asked for and has no `Fetched`. `null` was asked for and is nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.elements import NOTHING, many
from cds_service.fhir.resources import Bundle, Entry, OperationOutcome, Resource, Unread

State = Literal["found", "nothing", "failed"]


class Fetched(Struct, frozen=True, kw_only=True, gc=False):
    """The answer to one question: what was found, and whether that is all there is.

    `faulty` says that an error came beside what was found; `total` is how many matches the
    server says there are (0 if it does not say), `matches` how many came. `tail` says that of a
    part only the end is missing, if it is in order. `unread` holds the path of each entry without
    a resource.
    """

    state: State
    entries: tuple[Entry, ...] = ()
    partial: bool = False
    faulty: bool = False
    total: int = 0
    matches: int = 0
    tail: bool = False
    next_page: str | None = None
    unread: tuple[str, ...] = ()


_HARMLESS = frozenset(("warning", "information", "success"))
_MATCH = (None, "match")
_TOTAL_DIGITS = 10

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
    unread: list[str] = []
    faulty, matches = _collect(bundle, max_depth, entries, unread)
    if faulty and not entries:
        return replace(FAILED, unread=tuple(unread))
    total = _total(bundle)
    partial = faulty or _is_part(bundle, total, matches)
    return Fetched(
        state="found" if entries else "nothing",
        entries=tuple(entries),
        partial=partial,
        tail=partial and not faulty,
        faulty=faulty,
        total=total or 0,
        matches=matches,
        next_page=next_of(bundle),
        unread=tuple(unread),
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
        unread=tuple(path for page in pages for path in page.unread),
    )


def unreadable_entries(answer: Fetched, where: str, key: str = "") -> Iterator[Unreadable]:
    """The entries of an answer that hold nothing, as what was set aside of the value at `where`."""
    for path in answer.unread:
        yield Unreadable(where=f"{where}{path}", expected="expected a FHIR resource", key=key)


def next_of(bundle: Bundle) -> str | None:
    """The address of the next page, as the server gives it."""
    return link_of(bundle, "next")


def link_of(bundle: Bundle, relation: str) -> str | None:
    """The first link of this relation."""
    return next((link.url for link in many(bundle.link) if link.relation == relation), None)


def _collect(
    bundle: Bundle, depth: int, entries: list[Entry], unread: list[str], path: str = ""
) -> tuple[bool, int]:
    """Add the entries that carry data, and the paths of those that carry nothing.

    Returns whether an error was among the others, and how many of the entries are matches, as
    Bundle.total counts them: no included resources, and no outcomes.
    """
    if depth < 1:
        raise PayloadTooLarge("Bundles are nested too deeply.")
    failed, matches = False, 0
    for place, entry in enumerate(many(bundle.entry)):
        resource, response, search = entry.resource, entry.response, entry.search
        if isinstance(resource, OperationOutcome):
            failed = failed or _is_error(resource)
            continue
        if (resource is not None or response is None) and (search is None or search.mode in _MATCH):
            matches += 1
        if resource is None:
            if response is None or not response.status:
                unread.append(f"{path}.entry[{place}].resource")
            else:
                failed = failed or _is_refused(response.status)
        elif isinstance(resource, Bundle):
            inside = f"{path}.entry[{place}].resource"
            faulty, its_matches = _collect(resource, depth - 1, entries, unread, inside)
            # Nobody follows the pages of a Bundle inside.
            failed = failed or faulty or _is_part(resource, _total(resource), its_matches)
        elif type(resource) is not Unread:  # itself it stands for one that could not be read
            entries.append(entry)
    return failed, matches


def _is_part(bundle: Bundle, total: int | None, matches: int) -> bool:
    """Whether the Bundle is not all there is, or does not say clearly that it is."""
    has_next = any(link.relation == "next" for link in many(bundle.link))
    return has_next or total is None or total > matches


def _is_refused(status: str) -> bool:
    """Whether a question of a batch, which came with a 200, was not answered."""
    return status.strip()[:1] not in {"2", "3"}


def _is_error(outcome: OperationOutcome) -> bool:
    # Epic says "no results" by a warning (search.mode outcome): that is not an error. An outcome
    # that does not say how grave it is may be one.
    severities = [(issue.severity or "").strip().lower() for issue in many(outcome.issue)]
    return not severities or not _HARMLESS.issuperset(severities)


def _total(bundle: Bundle) -> int | None:
    """The total, 0 if none was sent, or `None` if it is no number."""
    if bundle.total is NOTHING:
        return 0
    text = bytes(bundle.total).strip(b'"')  # some servers put quotes around it
    if text == b"null":
        return 0
    return int(text) if text.isdigit() and len(text) < _TOTAL_DIGITS else None
