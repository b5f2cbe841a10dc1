# SPDX-License-Identifier: Apache-2.0
"""Parts that the resources of advice share, and what they are known by."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

Json: TypeAlias = dict[str, Any]

ADVICE_SYSTEM: Final = "https://cds-service.example/advice"


def identifier_of(resource: Mapping[str, Any]) -> str:
    """The value of our identifier of a resource; empty if it has none."""
    found = resource.get("identifier")
    every = found if isinstance(found, list) else [found]  # a GuidanceResponse in R5, and others
    return next(
        (
            str(identifier.get("value", ""))
            for identifier in every
            if isinstance(identifier, dict) and identifier.get("system") == ADVICE_SYSTEM
        ),
        "",
    )


def identifier(value: UUID) -> Json:
    """Our identifier with this value."""
    return {"system": ADVICE_SYSTEM, "value": str(value)}


def to(value: object) -> Json:
    """A reference to another resource of the same Bundle."""
    return {"reference": f"urn:uuid:{value}"}


def instant(time: datetime) -> str:
    """A time as FHIR writes it."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def kept(**members: Any) -> Json:
    """The elements that have a value: nothing that FHIR holds is empty."""
    return {name: value for name, value in members.items() if value not in (None, [], {})}


def references_in(resource: object) -> Iterator[str]:
    """Every reference in a resource, in its order."""
    if isinstance(resource, list):
        for item in resource:
            yield from references_in(item)
    elif isinstance(resource, dict):
        for name, value in resource.items():
            if name == "reference" and isinstance(value, str):
                yield value
            else:
                yield from references_in(value)
