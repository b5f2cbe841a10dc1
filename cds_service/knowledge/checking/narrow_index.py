# SPDX-License-Identifier: Apache-2.0
"""Rules that ask for any of several markers but are about fewer of them.

Such a rule is silent where only the other marker was measured, or where its result is the newest.
That may be meant, so it is a warning and no problem.
"""

from collections.abc import Iterator, Mapping

from cds_service.knowledge.model.conditions import AllOf, AnyOf, Condition, PatternIs, leaves
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Pack
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Document


def narrow_indexes(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """A warning for each active rule that is about some of such markers and not about others."""
    for rule in pack.rules.values():
        if rule.status != "active":
            continue
        for markers in dict.fromkeys(_alternatives(rule.when)):
            others = [marker for marker in markers if marker not in rule.about]
            if others and len(others) < len(markers):
                mark = documents[f"rules/{rule.id}.yaml"].mark(("about",))
                message = f"'when' asks for any of {', '.join(markers)}, but not about: {others[0]}"
                yield Problem("K208", mark, message, "name every marker that can be the newest")


def _alternatives(condition: Condition) -> Iterator[tuple[str, ...]]:
    """The markers of each `any of`, and of each `any:` that compares several in the same way."""
    match condition:
        case Compare(markers=markers) if len(markers) > 1:
            yield markers
        case PatternIs(when=when):
            yield from _alternatives(when)
        case AllOf(parts=parts):
            for part in parts:
                yield from _alternatives(part)
        case AnyOf(parts=parts):
            alike: dict[object, dict[str, None]] = {}
            for part in parts:
                for leaf in leaves(part)[:1]:
                    if isinstance(leaf, Compare):
                        same = alike.setdefault((leaf.relation, leaf.bound), {})
                        same.update(dict.fromkeys(leaf.markers))
                yield from _alternatives(part)
            yield from (tuple(markers) for markers in alike.values() if len(markers) > 1)
        case _:
            pass
