# SPDX-License-Identifier: Apache-2.0
"""The queries of a search: made from a prefetch template, and asked again where one is refused.

CDS Hooks 2.0.1, "Prefetch Template", says how a template is filled. FHIR R4, "Search", 3.1.1.6 and
3.1.1.7: a server may refuse parameters that it does not support. `_sort` and `_count` only say in
what order and in what pieces matches come, so without them a search finds the same.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import parse_qsl, quote

from cds_service.fhir.bundles import link_of
from cds_service.fhir.resources import Bundle, Resource

_TOKEN = re.compile(r"{{\s*([A-Za-z.]+)\s*}}")
REFUSALS: Final = frozenset((400, 422, 501))  # by which servers refuse a parameter
_OF_THE_ANSWER: Final = frozenset(("_sort", "_count"))


def expanded(template: str, tokens: Mapping[str, str]) -> str | None:
    """The query with its tokens filled in, such as `context.patientId`; `None` if one is unknown.

    Values are encoded, so that an id can neither end a parameter nor leave the server's address.
    """
    if any(name not in tokens for name in _TOKEN.findall(template)):
        return None
    return _TOKEN.sub(lambda match: _encoded(match[1], tokens[match[1]]), template)


def _encoded(name: str, value: str) -> str:
    # The user is a reference, `Practitioner/1`; everything else is one part of an address.
    return quote(value, safe="/" if name == "context.userId" else "")


def tokens_of(context: Mapping[str, object]) -> dict[str, str]:
    """The tokens that a hook's context gives: its texts, and the id of the user by its type."""
    tokens = {f"context.{name}": value for name, value in context.items() if isinstance(value, str)}
    kind, _, identity = tokens.get("context.userId", "").rpartition("/")
    if kind in {"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"} and identity:
        tokens[f"user{kind}Id"] = identity
    return tokens


def parameters_of(query: str) -> frozenset[str]:
    """The names of the parameters, without modifiers."""
    pairs = parse_qsl(query.partition("?")[2], keep_blank_values=True)
    return frozenset(name.partition(":")[0] for name, _ in pairs)


def ignored_in(page: Resource, asked: frozenset[str]) -> frozenset[str]:
    """The parameters that the server did not use, by the self link of its answer.

    FHIR R4, "Search", 3.1.1.1: the self link holds the parameters that were used. A link with none
    of those that were asked for is a key to a stored search and says nothing.
    """
    url = link_of(page, "self") if isinstance(page, Bundle) else None
    if url is None or not asked:
        return frozenset()
    used = parameters_of(url)
    if used & {"patient", "subject"}:
        used |= {"patient", "subject"}
    if used and used.isdisjoint(asked):
        return frozenset()
    return asked - used


def to_leave_out(query: str, refusal: bytes) -> frozenset[str]:
    """The parameters of a refused query that it can be asked again without; empty if none.

    That is the one that the refusal names, else both: what it says is for people.

    >>> to_leave_out("Observation?patient=1&_sort=-date&_count=200", b"_sort is not known here")
    frozenset({'_sort'})
    """
    asked = parameters_of(query) & _OF_THE_ANSWER
    named = frozenset(name for name in asked if name.encode() in refusal)
    return named if len(named) == 1 else asked


def without(query: str, names: AbstractSet[str]) -> str:
    """The query without these parameters.

    >>> without("Observation?patient=1&_sort=-date&_count=200", {"_sort"})
    'Observation?patient=1&_count=200'
    """
    path, _, rest = query.partition("?")
    kept = [pair for pair in rest.split("&") if pair.partition("=")[0] not in names]
    return f"{path}?{'&'.join(kept)}"
