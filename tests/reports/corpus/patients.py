# SPDX-License-Identifier: Apache-2.0
"""Invented patients and results, with what a reader has to find."""

import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tests.reports.corpus.languages import Language

# Unit, least and greatest value, decimals, lower and upper limit: plausible, and no more than that.
_USUAL = {
    "alt": (("U/L", 3, 900, 0, 7, 40), ("µkat/L", 0.1, 9, 2, 0.12, 0.74)),
    "ast": (("U/L", 8, 800, 0, None, 35), ("U/L", 8, 99, 1, 5, 34.5)),
    "alp": (("U/L", 30, 600, 0, 40, 129),),
    "ggt": (("U/L", 8, 700, 0, None, 60),),
    "total-bilirubin": (("mg/dL", 0.2, 9, 1, 0.2, 1.2), ("µmol/L", 4, 140, 1, None, 21)),
    "direct-bilirubin": (("mg/dL", 0.05, 4, 2, None, 0.3),),
    "albumin": (("g/L", 22, 50, 1, 35, 52), ("g/dL", 2.2, 5, 1, 3.5, 5.2)),
    "inr": (("", 0.9, 4, 2, 0.9, 1.2),),
    "platelets": (("10^9/L", 30, 450, 0, 150, 400), ("G/L", 30, 450, 0, 150, 400)),
    "ck": (("U/L", 30, 4000, 0, None, 190),),
}


@dataclass(slots=True, kw_only=True)
class Printed:
    """A row as it is printed; `truth` is the value, `None` if a reader has to leave it open."""

    marker: str | None
    name: str
    text: str
    truth: str | None
    comparator: str | None
    unit: str
    low: str | None
    high: str | None
    range_text: str
    flag: str
    earlier: list[str] = field(default_factory=list)  # texts of earlier dates
    earlier_truth: list[str | None] = field(default_factory=list)
    in_urine: bool = False


@dataclass(slots=True, kw_only=True)
class Patient:
    """Who the report is about, and when the specimens were collected, the newest first."""

    name: str
    identity: str
    born: date
    female: bool
    collected: list[datetime]
    rows: list[Printed]
    urine: list[Printed]
    hemolyzed: bool


def invented(language: Language, seed: int, *, dates: int = 1) -> Patient:
    """A patient with results of most markers and of other tests; the same for the same seed."""
    chance = random.Random(f"{language.code}{seed}")
    newest = datetime(2026, chance.randint(1, 9), chance.randint(13, 28), 8, 30)  # noqa: DTZ001 - as printed
    rows = [
        _result(marker, language, chance, dates)
        for marker in language.tests
        if chance.random() < 0.95
    ]
    rows += [_other(name, unit, language, chance, dates) for name, unit in language.others]
    chance.shuffle(rows)
    urine = [
        _result("albumin", language, chance, dates),
        _result("total-bilirubin", language, chance, dates),
    ]
    for row in urine:
        row.in_urine = True
    return Patient(
        name=chance.choice(("Anna Muster", "Marie Dupont", "José Pérez", "Carla Rossi")),
        identity=str(chance.randint(10_000, 99_999)),
        born=date(chance.randint(1940, 2005), chance.randint(1, 12), chance.randint(1, 28)),
        female=chance.random() < 0.5,
        collected=[newest - timedelta(days=91 * n) for n in range(dates)],
        rows=rows,
        urine=urine,
        hemolyzed=chance.random() < 0.3,
    )


def _result(marker: str, language: Language, chance: random.Random, dates: int) -> Printed:
    unit, least, most, decimals, low, high = chance.choice(_USUAL[marker])
    texts, truths, comparators = zip(
        *(_value(least, most, decimals, language, chance) for _ in range(dates + 1)), strict=True
    )
    return Printed(
        marker=marker,
        name=chance.choice(language.tests[marker]),
        text=texts[0],
        truth=truths[0],
        comparator=comparators[0],
        unit=unit,
        low=_plain(low, decimals),
        high=_plain(high, decimals),
        range_text=_range(low, high, decimals, language, chance),
        flag=chance.choice(("", "", "H", "L", "*", "+")),
        earlier=list(texts[1:]),
        earlier_truth=list(truths[1:]),
    )


def _value(
    least: float, most: float, decimals: int, language: Language, chance: random.Random
) -> tuple[str, str | None, str | None]:
    number = f"{chance.uniform(least, most):.{decimals}f}"
    printed = number.replace(".", ",") if language.comma else number
    kind = chance.random()
    if kind < 0.08:
        return f"<{printed}", number, "<"
    if kind < 0.12:
        return f"> {printed}", number, ">"
    if kind < 0.15:  # a thousand, or one with three decimals?
        return ("1.234" if language.comma else "1,234"), None, None
    if kind < 0.18:
        return "---", None, None
    return printed, number, None


def _plain(limit: float | None, decimals: int) -> str | None:
    return None if limit is None else f"{limit:.{decimals}f}"


def _range(
    low: float | None, high: float, decimals: int, language: Language, chance: random.Random
) -> str:
    def shown(limit: float) -> str:
        text = f"{limit:.{decimals}f}"
        return text.replace(".", ",") if language.comma else text

    if low is None:
        return chance.choice(
            (f"<{shown(high)}", f"< {shown(high)}", f"{language.up_to} {shown(high)}")
        )
    return chance.choice(
        (
            f"{shown(low)}-{shown(high)}",
            f"{shown(low)} - {shown(high)}",
            f"({shown(low)} – {shown(high)})",
        )
    )


def _other(name: str, unit: str, language: Language, chance: random.Random, dates: int) -> Printed:
    texts = [_value(0.5, 90, 1, language, chance)[0] for _ in range(dates + 1)]
    return Printed(
        marker=None,
        name=name,
        text=texts[0],
        truth=None,
        comparator=None,
        unit=unit,
        low=None,
        high=None,
        range_text="5-80",
        flag="",
        earlier=texts[1:],
        earlier_truth=[None] * dates,
    )


def truth_of(patient: Patient, *, dates: int, date_only: bool) -> dict[str, Any]:
    """What a reader has to find, as JSON-able data: rows of known markers alone."""
    rows = []
    for row in patient.rows:
        if row.marker is None:
            continue
        for at in range(dates):
            when = patient.collected[at]
            text = row.text if at == 0 else row.earlier[at - 1]
            rows.append(
                {
                    "marker": row.marker,
                    "name": row.name,
                    "text": text,
                    "value": row.truth if at == 0 else row.earlier_truth[at - 1],
                    "comparator": {"<": "<", ">": ">"}.get(text[0]),
                    "unit": row.unit,
                    "low": row.low,
                    "high": row.high,
                    "date": when.date().isoformat()
                    if date_only
                    else when.isoformat("T", "minutes"),
                }
            )
    return {
        "patient": {
            "name": patient.name,
            "id": patient.identity,
            "birthDate": patient.born.isoformat(),
            "sex": "female" if patient.female else "male",
        },
        "hemolyzed": patient.hemolyzed,
        "rows": rows,
    }
