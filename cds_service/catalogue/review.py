# SPDX-License-Identifier: Apache-2.0
"""A pack as the clinician who signs it reads it: every rule, what they share, what has changed."""

from collections.abc import Iterator

from cds_service.catalogue.rules import Catalogue, RulePage
from cds_service.catalogue.shared_parts import SharedSection, shared_parts
from cds_service.errors import UnknownPage
from cds_service.explanation.view import View
from cds_service.knowledge.checking.signature import signature_hash
from cds_service.knowledge.model.pack import INDICATORS, Change, Pack
from cds_service.knowledge.model.status import approval
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.service import Knowledge


class PackDecision(View, frozen=True, kw_only=True):
    """A decision of the pack's authors that no source gives, and what they are about."""

    about: str  # the title of what the file holds, and the file
    backs: tuple[str, ...]
    says: str


class ChangedVersion(View, frozen=True, kw_only=True):
    """A version that is newer than the signature; `title` is that of a rule, or of the pack."""

    rule: str = ""  # none: the pack
    title: str
    version: str
    date: str
    change: str


class Group(View, frozen=True, kw_only=True):
    """The rules of one severity."""

    indicator: str
    rules: tuple[RulePage, ...]


class Review(View, frozen=True, kw_only=True):
    """Everything that is signed, and the line to sign with."""

    pack: str
    title: str
    version: str
    usage: str
    approval: str
    signed_on: str = ""
    line: str  # for pack.yaml
    hash: str
    count: int
    changes: tuple[ChangedVersion, ...]
    groups: tuple[Group, ...]
    shared: tuple[PackDecision, ...]
    parts: tuple[SharedSection, ...]
    notices: tuple[str, ...]


def review_of(knowledge: Knowledge, pack_id: str) -> Review:
    """The review of a pack; raises `UnknownPage`."""
    pack = next((pack for pack in knowledge.packs if pack.id == pack_id), None)
    if pack is None:
        known = ", ".join(pack.id for pack in knowledge.packs)
        raise UnknownPage(f"There is no such pack; known: {known}.")
    catalogue = Catalogue(knowledge)
    pages = [catalogue.page(rule.id) for rule in pack.rules.values() if rule.status != "retired"]
    signed, now = pack.signature, signature_hash(pack)
    return Review(
        pack=pack.id,
        title=pack.title,
        version=pack.version,
        usage=pack.usage,
        approval=approval(pack),
        signed_on=signed.on if signed else "",
        line=f"signed: {{by: YOUR NAME, on: DATE, lock: {now}}}",
        hash=now,
        count=len(pages),
        changes=tuple(_changes(pack)),
        groups=tuple(
            Group(
                indicator=indicator,
                rules=tuple(page for page in pages if page.entry.indicator == indicator),
            )
            for indicator in reversed(INDICATORS)
        ),
        shared=tuple(_shared(knowledge.files[pack.id])) if pack.id in knowledge.files else (),
        parts=shared_parts(pack),
        notices=pack.notices,
    )


def _changes(pack: Pack) -> Iterator[ChangedVersion]:
    """What was written since the day of the signature; nothing if nobody has signed."""
    if pack.signature is None or pack.signature.holds:
        return
    for line in _since(pack.history, pack.signature.on):
        yield ChangedVersion(
            title=pack.title, version=line.version, date=line.date, change=line.change
        )
    for rule in pack.rules.values():
        for line in _since(rule.history, pack.signature.on):
            yield ChangedVersion(
                rule=rule.id,
                title=rule.title,
                version=line.version,
                date=line.date,
                change=line.change,
            )


def _since(history: tuple[Change, ...], day: str) -> Iterator[Change]:
    """The versions of that day or later: on the day itself either order is possible."""
    return (line for line in history if line.date >= day)


def _shared(files: PackFiles) -> Iterator[PackDecision]:
    """The decisions in files that are no rule: markers, facts, measures, orders and the pack."""
    for name, document in sorted(files.documents.items()):
        data = document.data
        if name.startswith("rules/") or not isinstance(data, dict):
            continue
        title, lines = data.get("title"), data.get("evidence")
        for line in lines if isinstance(lines, list) else ():
            if isinstance(line, dict) and line.get("decision"):
                backs = line.get("backs")
                yield PackDecision(
                    about=f"{title} ({name})" if title else name,
                    backs=tuple(str(reference) for reference in backs)
                    if isinstance(backs, list)
                    else (),
                    says=" ".join(str(line.get("says", "")).split()),
                )
