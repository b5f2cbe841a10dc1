# SPDX-License-Identifier: Apache-2.0
"""Labels in the cells of a table, such as `Patient;Anna Muster`, and what there is one of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from cds_service.plain_words import plain_words
from cds_service.reports.dates import DayOrder, birth_date_in
from cds_service.reports.people import is_one_name, is_one_number
from cds_service.reports.tables.grid import Row
from cds_service.reports.tables.mapping import Role, role_of
from cds_service.reports.vocabulary import LABELS

ONE_ALONE: Final[dict[Role, str]] = {
    "patient id": "number of a patient",
    "patient name": "name of a patient",
    "birth date": "date of birth",
    "collected": "day of collection",
}
"""What a table has one of, and how an error names it."""


def several_of(labelled: Mapping[Role, Sequence[str]], order: DayOrder | None) -> Role | None:
    """What labels above the table say of two patients; `None` if of one."""

    def is_one_day(text: str, other: str) -> bool:
        day, other_day = birth_date_in(text, order), birth_date_in(other, order)
        return day == other_day if day and other_day else is_one_number(text, other)

    pairs: tuple[tuple[Role, Callable[[str, str], bool]], ...] = (
        ("patient name", is_one_name),
        ("patient id", is_one_number),
        ("birth date", is_one_day),
    )
    several = (
        role
        for role, is_one in pairs
        if any(not is_one(labelled[role][0], text) for text in labelled.get(role, ()))
    )
    return next(several, None)


def labelled_in(row: Row) -> Iterator[tuple[Role, str]]:
    """What stands behind labels, such as `Patient;Anna Muster`, by its role."""
    cells = [part for cell in row for part in cell.split(":", 1)]
    for label, text in pairwise(cells):
        role = role_of(label)
        is_label = LABELS.get(plain_words(label)) not in {None, "other date"}
        if is_label and role != "not read" and text.strip():
            yield role, text.strip()
