# SPDX-License-Identifier: Apache-2.0
"""What a reader found of a report -> how much was found, and every value that is wrong.

A value is wrong if the reader is certain of it and nothing like it is printed for that marker: the
number, its comparator, unit, limits and date all count. A row is found if its marker is there, and
its value where it can be known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Score:
    """How many rows of known markers there are and were found, and what was wrong."""

    rows: int = 0
    found: int = 0
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, name: str, truth: dict[str, Any], read: dict[str, Any]) -> None:
        """Count a report."""
        left: list[dict[str, Any]] = [row for row in read.get("rows", ()) if row["marker"]]
        for row in truth["rows"]:
            self.rows += 1
            hit = next((read_row for read_row in left if is_same_row(row, read_row)), None)
            if hit is None:
                self.missed.append(f"{name}: {_brief(row)}")
            else:
                self.found += 1
                left.remove(hit)
        for read_row in left:
            if read_row["certain"] and read_row["value"] is not None:
                self.wrong.append(f"{name}: {_brief(read_row)}")
        self._compare_people(name, truth, read)
        if any(row["hemolyzed"] != truth["hemolyzed"] for row in read.get("rows", ())):
            self.wrong.append(f"{name}: hemolyzed")

    def _compare_people(self, name: str, truth: dict[str, Any], read: dict[str, Any]) -> None:
        for key, value in (read.get("patient") or {}).items():
            if value is not None and value != truth["patient"][key]:
                self.wrong.append(f"{name}: patient {key} is {value}, not {truth['patient'][key]}")

    @property
    def share(self) -> float:
        """The share of rows found, in percent."""
        return 100 * self.found / self.rows if self.rows else 0.0


def is_same_row(truth: dict[str, Any], read: dict[str, Any]) -> bool:
    """Whether a row says the same as the truth: marker, value, unit, limits and date."""
    if truth["marker"] != read["marker"]:
        return False
    if truth["date"] != read["date"]:
        return False
    if read["value"] is None:
        return truth["value"] is None and _squeezed(truth["text"]) in _squeezed(read["text"] or "")
    return (
        truth["value"] == read["value"]
        and truth["comparator"] == read["comparator"]
        and _unit(truth["unit"]) in {_unit(read["unit"] or ""), ""}
        and all(read[key] == truth[key] for key in ("low", "high"))
    )


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _unit(text: str) -> str:
    """A unit without spaces; a raised power is one with `^`."""
    return _squeezed(text).replace("10⁹", "10^9")


def _brief(row: dict[str, Any]) -> str:
    keys: Sequence[str] = (
        "marker",
        "name",
        "text",
        "value",
        "comparator",
        "unit",
        "low",
        "high",
        "date",
    )
    return ", ".join(f"{key}={row.get(key)}" for key in keys)
