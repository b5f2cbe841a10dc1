# SPDX-License-Identifier: Apache-2.0
"""Ids that two packs of one service may not share, for one address leads to each.

A card links to `/rules/RULE` and `/explain/MARKER`, a client calls `/cds-services/SERVICE`, and the
feedback on a card is counted by its rule. None of these says which pack is meant.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Where


class _Claim(NamedTuple):
    """An id of a pack, and where it stands."""

    kind: str
    id: str
    file: str
    where: Where


def check_shared_ids(library: Sequence[tuple[Pack, PackFiles]]) -> list[Problem]:
    """A problem for each id of a pack that an earlier pack has too."""
    owners: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for pack, files in library:
        for kind, name, file, where in _claims(pack):
            owner = owners.setdefault((kind, name), files.shown)
            if owner != files.shown:
                mark = files.documents[file].mark(where)
                message = f"the {kind} '{name}' is also one of {owner}"
                problems.append(Problem("K302", mark, message, "give one of the two another id"))
    return problems


def _claims(pack: Pack) -> Iterator[_Claim]:
    yield _Claim("pack", pack.id, "pack.yaml", ("id",))
    for n, service in enumerate(pack.services):
        yield _Claim("service", service.id, "pack.yaml", ("services", n, "id"))
    for n, example in enumerate(pack.examples):
        yield _Claim("example", example.id, "pack.yaml", ("examples", n, "id"))
    for marker in pack.markers:
        yield _Claim("marker", marker, f"markers/{marker}.yaml", ("id",))
    for rule in pack.rules:
        yield _Claim("rule", rule, f"rules/{rule}.yaml", ("id",))
