# SPDX-License-Identifier: Apache-2.0
"""What the columns of a table are: as their headings say, or as a person has written it down."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from cds_service.errors import RequestError
from cds_service.plain_words import plain_words
from cds_service.reports.dates import is_date
from cds_service.reports.tables.grid import Grid, Row
from cds_service.reports.vocabulary import COLUMNS, LABELS, ColumnKind, Label, Words

Role: TypeAlias = Literal[
    "test",
    "code",
    "comparator",
    "value",
    "unit",
    "range",
    "low",
    "high",
    "flag",
    "collected",
    "status",
    "specimen",
    "patient id",
    "patient name",
    "birth date",
    "sex",
    "results of the heading",
    "not read",
]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
_OWN: Final[dict[str, Role]] = {
    **dict.fromkeys(("loinc", "loinc code", "loinc num", "test code", "code"), "code"),
    **dict.fromkeys(("comparator", "operator", "prefix", "sign", "modifier"), "comparator"),
    **dict.fromkeys(("status", "result status", "ergebnisstatus", "statut", "estado"), "status"),
    **dict.fromkeys(
        ("date", "datum", "fecha", "data", "date time", "datetime", "effective date", "time"),
        "collected",
    ),
}
_OF_COLUMNS: Final[dict[ColumnKind, Role]] = {
    "name": "test",
    "result": "value",
    "unit": "unit",
    "range": "range",
    "low": "low",
    "high": "high",
    "flag": "flag",
    "specimen": "specimen",
    "previous": "not read",
}
_OF_LABELS: Final[dict[Label, Role]] = {
    "collected": "collected",
    "birth": "birth date",
    "name": "patient name",
    "sex": "sex",
    "id": "patient id",
}
_SEARCHED: Final = 40  # rows in which the headings may stand


_FIGURES: Final = re.compile(r"[<>=≤≥]*\s*\d[\d.,]*\s*[HL*]{0,2}")


@dataclass(frozen=True, slots=True)
class Columns:
    """The role of each column; `headings` is the number of the row that names them, -1 if none."""

    roles: tuple[Role, ...]
    headings: int
    names: tuple[str, ...]
    _places: Mapping[Role, tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places: dict[Role, tuple[int, ...]] = {
            role: tuple(place for place, known in enumerate(self.roles) if known == role)
            for role in set(self.roles)
        }
        object.__setattr__(self, "_places", places)

    def of(self, role: Role) -> tuple[int, ...]:
        """The columns of a role."""
        return self._places.get(role, ())


def propose(grid: Grid) -> Columns | None:
    """What the columns are by their headings, `None` if no row names tests and values.

    A heading that is a date is a column of values of that day. Where the only heading that is
    known is that of a date, the others name tests.
    """
    for number, row in enumerate(grid.rows[:_SEARCHED]):
        roles = _distinct(row)
        if ("test" in roles or "code" in roles) and "value" in roles:
            return Columns(tuple(roles), number, row)
        if roles.count("collected") == 1:
            results = [
                _is_of_figures(grid.rows[number + 1 :], place) and role == "not read"
                for place, role in enumerate(roles)
            ]
            if any(results):
                pairs = zip(roles, results, strict=True)
                wide = tuple(
                    "results of the heading" if is_wide else role for role, is_wide in pairs
                )
                return Columns(wide, number, row)
    return None


def as_written(grid: Grid, wanted: Mapping[str, str] | Sequence[str]) -> Columns | None:
    """What a person has written: a role for each heading, or, without headings, for each column.

    `None` if no row has these headings.
    """
    if not isinstance(wanted, Mapping):
        return Columns(tuple(map(_known, wanted)), -1, ("",) * len(wanted))
    roles = {heading: _known(role) for heading, role in wanted.items()}
    for number, row in enumerate(grid.rows[:_SEARCHED]):
        if roles.keys() <= set(row):
            return Columns(tuple(roles.get(cell, "not read") for cell in row), number, row)
    return None


def _known(role: str) -> Role:
    found = next((known_role for known_role in ROLES if known_role == role), None)
    if found is None:
        raise RequestError(f"Expected each column to be one of: {', '.join(ROLES)}.")
    return found


def _is_of_figures(rows: Sequence[Row], place: int) -> bool:
    """Whether most cells of a column that are not empty are numbers."""
    cells = [row[place] for row in rows if place < len(row) and row[place]]
    numbers = sum(_FIGURES.fullmatch(cell) is not None for cell in cells)
    return bool(cells) and 2 * numbers > len(cells)


def role_of(heading: str) -> Role:
    """What a column with this heading holds.

    >>> role_of("Referenzbereich")
    'range'
    >>> role_of("Né(e) le")
    'birth date'
    >>> role_of("Favourite colour")
    'not read'
    """
    if is_date(heading):
        return "value"
    # `Né(e) le` is one phrase; of `Result (U/L)` the unit is none of its words.
    bare = heading.partition("(")[0].partition("[")[0] or heading
    roles = (_role(plain_words(text.replace("_", " "))) for text in (heading, bare))
    return next(filter(None, roles), "not read")


def _role(words: Words) -> Role | None:
    own = _OWN.get(" ".join(words))
    if own is not None:
        return own
    kind, label = COLUMNS.get(words), LABELS.get(words)
    if label is not None and label in _OF_LABELS and kind is None:
        return _OF_LABELS[label]
    return _OF_COLUMNS.get(kind) if kind is not None else None


def _distinct(headings: Row) -> list[Role]:
    """The roles of headings of which two can be meant for one thing.

    `Name` can be that of a patient beside tests and that of a test alone; `Date` is that of
    collection if no heading says it more clearly.
    """
    found = [role_of(heading) for heading in headings]
    if "test" not in found and "code" not in found and found.count("patient name") == 1:
        found[found.index("patient name")] = "test"
    for place, heading in enumerate(headings):
        is_any_date = found[place] == "collected" and not _names_collection(heading)
        if is_any_date and any(map(_names_collection, headings)):
            found[place] = "not read"
    return found


def _names_collection(heading: str) -> bool:
    return LABELS.get(plain_words(heading.replace("_", " "))) == "collected"
