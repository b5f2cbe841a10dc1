# SPDX-License-Identifier: Apache-2.0
"""The prefetch keys: one for each list that is asked for, and the resource type that it brings.

Discovery offers these keys, a request is read by them, and an operator or a registered client maps
names of its own to them.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from cds_service.remembering import remember_short

Kind: TypeAlias = Literal[
    "Patient",
    "Observation",
    "MedicationRequest",
    "MedicationStatement",
    "Condition",
    "ServiceRequest",
]
"""A resource type that rules read."""

PrefetchKey: TypeAlias = Literal[
    "patient",
    "observations",
    "conditions",
    "medicationRequests",
    "medicationStatements",
    "serviceRequests",
]

PATIENT: Final = "patient"
OBSERVATIONS: Final = "observations"
CONDITIONS: Final = "conditions"
MEDICATION_REQUESTS: Final = "medicationRequests"
MEDICATION_STATEMENTS: Final = "medicationStatements"
SERVICE_REQUESTS: Final = "serviceRequests"

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PREFETCH_KEYS: Final[tuple[PrefetchKey, ...]] = get_args(PrefetchKey)

_BRINGS: Final[Mapping[PrefetchKey, Kind]] = {
    PATIENT: "Patient",
    OBSERVATIONS: "Observation",
    CONDITIONS: "Condition",
    MEDICATION_REQUESTS: "MedicationRequest",
    MEDICATION_STATEMENTS: "MedicationStatement",
    SERVICE_REQUESTS: "ServiceRequest",
}
# What clients call the same lists, in small letters alone.
_SYNONYMS: Final[Mapping[PrefetchKey, tuple[str, ...]]] = {
    OBSERVATIONS: ("observation", "labs", "laboratory", "labresults", "results"),
    CONDITIONS: ("condition", "problems", "problemlist"),
    MEDICATION_REQUESTS: ("medicationrequest", "prescriptions", "medications", "medicines", "meds"),
    MEDICATION_STATEMENTS: ("medicationstatement", "medications", "medicines", "meds"),
    SERVICE_REQUESTS: ("servicerequest", "orders", "openorders"),
}

_PAIR: Final = re.compile(rf"\S+=({'|'.join(PREFETCH_KEYS)})")


def checked_key_pairs(text: str) -> str:
    """The text, pairs `theirs=ours` separated by blanks; raises `ValueError` if it is not that."""
    if all(_PAIR.fullmatch(pair) for pair in text.split()):
        return text
    raise ValueError("expected pairs such as labs90=observations, with a key of discovery")


@remember_short(longest=80, most=256)  # clients send the same keys again and again
def kinds_of_key(key: str) -> frozenset[Kind]:
    """The resource types that a prefetch key asks for by its name; none for an unknown name.

    Case, digits and signs do not count: `kinds_of_key("lab_results")` is `{"Observation"}`.
    """
    return _KINDS.get(_letters(key), frozenset())


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalpha())


def _kinds() -> dict[str, frozenset[Kind]]:
    kinds: dict[str, frozenset[Kind]] = {}
    for key, kind in _BRINGS.items():
        for name in (_letters(key), *_SYNONYMS.get(key, ())):
            kinds[name] = kinds.get(name, frozenset()) | {kind}
    return kinds


_KINDS: Final = _kinds()
