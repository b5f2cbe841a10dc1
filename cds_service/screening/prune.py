# SPDX-License-Identifier: Apache-2.0
"""Who could have a card or a notice: the others are not decided about.

The engine keeps a patient if one of the rules' necessary conditions holds, if something of theirs
may be anything, or if what could be wrong between two results may be.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cds_service.screening import flatten
from cds_service.screening.decisions import TRIGGER, ScreeningQuestion, asked_of
from cds_service.screening.engine import Engine
from cds_service.screening.forms import FormReader, FormRow
from cds_service.screening.lines import Lines
from cds_service.screening.necessary import (
    LIMIT_COLUMNS,
    any_of,
    name_of,
    necessary,
    rules_of,
)
from cds_service.service import Knowledge, Served

_EARLIEST_MS: Final = 365 * 2 * 86_400_000  # before it stand dates that stand for no date
_MOST: Final = 10**17  # of an amount, so that its multiples stay whole numbers of 64 bits
_LIMITS: Final = [column for pair in LIMIT_COLUMNS.values() for column in pair]
_FORM_COLUMNS: Final = (
    "maybe",
    "marker",
    "fact",
    "method",
    "up",
    "down",
    "has_low",
    "has_high",
    "least",
    "most",
    *_LIMITS,
)
_A_TIME: Final = 500  # rows of one statement


def columns(text: str) -> str:
    """What `line` needs beside what every line has, from `part` (`flatten.extracted`)."""
    return f"""
        {flatten.form_of(text)} AS form,
        {flatten.number()} AS number,
        {flatten.begins("effectiveDateTime")} AS begins,
        {flatten.ends("effectiveDateTime")} AS ends,
        {flatten.is_day("effectiveDateTime")} AS by_day,
        {flatten.begins("issued")} AS issued,
        coalesce({_is_born_oddly()}, false) AS is_born_oddly
    """


def _is_born_oddly() -> str:
    """Whether a birth date was sent that is no day of the last hundred and fifty years."""
    return f"{flatten.was_sent('birthDate')} AND ({flatten.begins('birthDate')}) IS NULL"


def choose(engine: Engine, lines: Lines, knowledge: Knowledge, question: ScreeningQuestion) -> None:
    """Make the table `chosen` of the patients who are decided about."""
    reader = FormReader(knowledge, lines.known, question.moment)
    if not reader.is_silent_about():
        # Something that holds of the whole source is a notice for everybody in it.
        engine.run("CREATE OR REPLACE TABLE chosen AS SELECT patient FROM patient")
        return
    _read_forms(engine, reader)
    now = _milliseconds(question.moment)
    engine.run(_evidence(now, cut=question.cut))
    conditions = [
        *(_rules(served) for served in asked_of(knowledge)),
        "coalesce(bool_or(maybe), false)",
    ]
    engine.run(
        "CREATE OR REPLACE TABLE chosen AS "
        f"SELECT patient FROM evidence GROUP BY patient HAVING {any_of(conditions)} "
        f"UNION {_in_doubt(knowledge)} "
        "UNION SELECT patient FROM patient WHERE persons > 1"
    )


def _rules(served: Served) -> str:
    pack = served.program.pack
    return any_of([necessary(rule, pack) for rule in rules_of(pack, TRIGGER)])


def _read_forms(engine: Engine, reader: FormReader) -> None:
    types = "maybe BOOLEAN, marker VARCHAR, fact VARCHAR, method VARCHAR, up BIGINT, down BIGINT, "
    types += "has_low BOOLEAN, has_high BOOLEAN, least BIGINT, most BIGINT, "
    types += ", ".join(f"{column} BIGINT" for column in _LIMITS)
    engine.run(
        f"CREATE OR REPLACE TABLE form (kind VARCHAR, form VARCHAR, form_id BIGINT, {types})"
    )
    rows: list[object] = []
    forms = engine.rows(
        "SELECT DISTINCT kind, form FROM line WHERE form IS NOT NULL AND owner IS NOT NULL"
    )
    for number, (kind, form) in enumerate(forms):
        specimen = flatten.specimen_of(kind, form)
        found = [FormRow(maybe=True)] if specimen is None else reader.read(kind, specimen)
        for row in found:
            rows.extend((kind, form, number, *_values(row)))
        if len(rows) > _A_TIME * _WIDTH:
            _insert(engine, rows)
            rows = []
    _insert(engine, rows)


_WIDTH: Final = 3 + len(_FORM_COLUMNS)


def _values(row: FormRow) -> Sequence[object]:
    simple = [getattr(row, name) for name in _FORM_COLUMNS[: -len(_LIMITS)]]
    return [*simple, *row.limits]


def _insert(engine: Engine, values: list[object]) -> None:
    if values:
        marks = ", ".join(["?"] * _WIDTH)
        engine.run(
            f"INSERT INTO form VALUES {', '.join([f'({marks})'] * (len(values) // _WIDTH))}", values
        )


def _evidence(now: int, *, cut: bool) -> str:
    """The table of the rows that `necessary` reads, with `maybe` for what may be anything."""
    # What was issued later is not there; where no time of issue is, the time of the result counts.
    # What cannot be read is a notice, whatever seems to be its time.
    later = f"AND (maybe OR NOT coalesce(coalesce(issued, begins) > {now}, false))" if cut else ""
    low = "((number + 1)::HUGEINT * up + down - 1) // down"
    # The engine divides towards nought, below which this has to go down too.
    high = "((number - 1)::HUGEINT * up - down + 1) // down"
    limits = ", ".join(_LIMITS)
    return f"""
        CREATE OR REPLACE TABLE evidence AS
        SELECT patient, marker, fact, method, ends, by_day, form_id, number, {now} - ends AS age,
            CASE WHEN has_low AND upper <= {_MOST} THEN upper END::BIGINT AS low,
            CASE WHEN has_high AND lower <= {_MOST} THEN lower END::BIGINT AS high, {limits},
            maybe OR is_odd OR (marker IS NOT NULL AND coalesce(
                ends > {now} OR begins < {_EARLIEST_MS} OR upper > most OR lower < least
                OR upper > {_MOST}, true)) AS maybe
        FROM (
            SELECT line.owner AS patient, form.* EXCLUDE (form, kind), line.number, line.begins,
                line.ends, line.by_day,
                line.reference IS NOT NULL OR line.is_document
                    OR (line.kind = 'Patient' AND line.is_born_oddly) AS is_odd,
                {low} AS upper, {high} AS lower
            FROM line JOIN form ON form.kind = line.kind AND form.form = line.form
            WHERE line.owner IS NOT NULL {later}
            UNION ALL BY NAME
            SELECT owner AS patient, true AS maybe, true AS is_odd FROM line
            WHERE owner IS NOT NULL AND (reference IS NOT NULL OR is_document OR form IS NULL
                OR (kind = 'Patient' AND is_born_oddly))
        )
    """


def _in_doubt(knowledge: Knowledge) -> str:
    """Patients of whom two results of one time may contradict each other, or a part its whole."""
    days = max(
        (day for one in asked_of(knowledge) for day in one.program.features.reach_days.values()),
        default=0,
    )
    recent = f"marker IS NOT NULL AND age <= {(days + 2) * 86_400_000}"
    twice = (
        f"SELECT patient FROM evidence WHERE {recent} GROUP BY patient, marker, ends "
        "HAVING count(*) > 1 AND (min(number) <> max(number) OR min(form_id) <> max(form_id)) "
        f"UNION SELECT patient FROM evidence WHERE {recent} GROUP BY patient, marker "
        "HAVING count(*) > 1 AND bool_or(by_day)"
    )
    return " UNION ".join([twice, *(_parts(served, recent) for served in asked_of(knowledge))])


def _parts(served: Served, recent: str) -> str:
    """Patients with a part that may be more than the whole it is a part of."""
    pack = served.program.pack
    conditions = []
    for marker in pack.markers.values():
        if marker.whole is not None:
            part, whole = name_of(pack, marker.id), name_of(pack, marker.whole.marker)
            conditions.append(
                f"max(low) FILTER (marker = '{part}') > min(high) FILTER (marker = '{whole}')"
            )
    having = any_of([f"coalesce({one}, false)" for one in conditions])
    return f"SELECT patient FROM evidence WHERE {recent} GROUP BY patient HAVING {having}"


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
