# SPDX-License-Identifier: Apache-2.0
"""Rows of the relations of pruning, with NULLs and edges, which both engines are asked about."""

import random
from typing import Any

from cds_service.copying import replace
from cds_service.knowledge.model.pack import Pack
from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.forms import FormRow
from cds_service.screening.necessary import LIMIT_COLUMNS, name_of
from cds_service.screening.prune import FORM_COLUMNS
from cds_service.screening.relations import ColumnType, Row
from tests.screening.people import MOMENT

_LIMITS = [column for pair in LIMIT_COLUMNS.values() for column in pair]
_NOW = round(MOMENT.timestamp() * 1000)
_DAY = 86_400_000
EVIDENCE: dict[str, ColumnType] = {
    "patient": "STRING",
    "marker": "STRING",
    "fact": "STRING",
    "method": "STRING",
    "ends": "BIGINT",
    "by_day": "BOOLEAN",
    "form_id": "BIGINT",
    "number": "BIGINT",
    "age": "BIGINT",
    "low": "BIGINT",
    "high": "BIGINT",
    **dict.fromkeys(_LIMITS, "BIGINT"),
    "maybe": "BOOLEAN",
}
LINE: dict[str, ColumnType] = {
    "kind": "STRING",
    "owner": "STRING",
    "reference": "STRING",
    "is_document": "BOOLEAN",
    "form": "STRING",
    "number": "BIGINT",
    "begins": "BIGINT",
    "ends": "BIGINT",
    "by_day": "BOOLEAN",
    "issued": "BIGINT",
    "is_born_oddly": "BOOLEAN",
}


def without_cut(ask: Any) -> Any:
    """`_question` of the command that leaves nothing out, as a hook call does not."""

    def asked(*given: Any, **more: Any) -> ScreeningQuestion:
        question: ScreeningQuestion = replace(ask(*given, **more), cut=False)
        return question

    return asked


def random_evidence(pack: Pack) -> list[Row]:
    """Some rows for each of 300 patients."""
    chance = random.Random(5)
    markers = [name_of(pack, name) for name in pack.markers]
    facts = [name_of(pack, name) for name in pack.facts]
    rows: list[Row] = []
    for number in range(300):
        for _ in range(chance.randint(1, 6)):
            ends = _NOW - chance.choice([1, 90, 91, 92, 365, 366]) * _DAY
            amounts = [chance.choice([None, 0, *_amounts(chance)]) for _ in range(8)]
            is_fact = chance.random() < 0.2
            rows.append(
                (
                    f"p{number}",
                    None if is_fact else chance.choice(markers[:6]),
                    chance.choice(facts) if is_fact else None,
                    None,
                    ends,
                    chance.choice([True, False, None]),
                    chance.randint(0, 2),
                    chance.choice([20_000_000, 21_000_000, None]),
                    _NOW - ends,
                    *amounts,
                    chance.random() < 0.05,
                )
            )
    return rows


def _amounts(chance: random.Random) -> list[int]:
    return [chance.randint(1, 400) * 1_000_000, chance.choice([10**15, 10**17])]


def random_lines() -> tuple[list[Row], list[Row]]:
    """Lines, and forms with factors that need more than 64 bits."""
    chance = random.Random(6)
    forms: list[Row] = []
    factors = [(1, 1), (1000, 1), (1, 1000), (17104, 1000), (10**9, 1), (1, 10**9), (7, 10**9 - 1)]
    for number, (up, down) in enumerate(factors):
        row = FormRow(marker="liver/alt", up=up, down=down, most=10**12, has_low=number % 3 > 0)
        made = {**{name: getattr(row, name, None) for name in FORM_COLUMNS}, "form_id": number}
        made.update(kind="Observation", form=f"f{number}", **dict.fromkeys(_LIMITS))
        forms.append(tuple(made[name] for name in FORM_COLUMNS))
    numbers = [None, 0, 1, 999_999, 1_000_000, 123_456_789, 10**15 - 1]
    times = [None, 0, _NOW - _DAY, _NOW, _NOW + 1]
    lines: list[Row] = [
        (
            chance.choice(["Observation", "Observation", "Patient"]),
            chance.choice([f"p{place}", f"p{place}", None]),
            chance.choice([None, None, None, "odd"]),
            chance.random() < 0.1,
            chance.choice([*(f"f{number}" for number in range(len(factors))), None]),
            chance.choice(numbers),
            chance.choice(times),
            chance.choice(times),
            chance.choice([True, False, None]),
            chance.choice(times),
            chance.random() < 0.1,
        )
        for place in range(600)
    ]
    return lines, forms
