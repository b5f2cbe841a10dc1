# SPDX-License-Identifier: Apache-2.0
"""Who could have a card or a notice: the others are not decided about.

The engine keeps a patient if one of the rules' necessary conditions holds, if something of theirs
may be anything, or if what could be wrong between two results may be.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from cds_service.prefetch_keys import KINDS, Kind
from cds_service.screening import flatten
from cds_service.screening.decisions import TRIGGER, ScreeningQuestion, asked_of
from cds_service.screening.forms import RESULT, FormReader, FormRow, UsesForm
from cds_service.screening.necessary import (
    FALSE,
    LIMIT_COLUMNS,
    any_of,
    name_of,
    necessary,
    rules_of,
)
from cds_service.screening.relations import ColumnType, Relations, Row
from cds_service.service import Knowledge, Served

SpecimenOf = Callable[[str, str], dict[str, object] | None]
_EARLIEST_MS: Final = 365 * 2 * 86_400_000  # before it stand dates that stand for no date
_KINDS: Final = ", ".join(f"'{kind}'" for kind in KINDS)
# What no rule reads, such as an Encounter, says nothing of its patient.
_IS_READ: Final = f"line.owner IS NOT NULL AND line.kind IN ({_KINDS})"
_LIMITS: Final = [column for pair in LIMIT_COLUMNS.values() for column in pair]
_FORM_COLUMNS: Final[dict[str, ColumnType]] = {
    "maybe": "BOOLEAN",
    "marker": "STRING",
    "fact": "STRING",
    "method": "STRING",
    "up": "BIGINT",
    "down": "BIGINT",
    "reach": "BIGINT",
    "has_low": "BOOLEAN",
    "has_high": "BOOLEAN",
    "least": "BIGINT",
    "most": "BIGINT",
}
FORM_COLUMNS: Final[dict[str, ColumnType]] = {
    "kind": "STRING",
    "form": "STRING",
    "form_id": "BIGINT",
    **_FORM_COLUMNS,
    **dict.fromkeys(_LIMITS, "BIGINT"),
}


def choose(
    engine: Relations,
    known: frozenset[Kind],
    knowledge: Knowledge,
    question: ScreeningQuestion,
    specimen_of: SpecimenOf = flatten.specimen_of,
) -> None:
    """Make the relation `chosen` of the patients who are decided about.

    `specimen_of` reads the forms that the engine's `line` has.
    """
    reader = FormReader(knowledge, known, question.moment)
    if not reader.is_silent_about():
        # Something that holds of the whole source is a notice for everybody in it.
        engine.make("chosen", "SELECT patient FROM patient")
        return
    _read_forms(engine, reader, specimen_of)
    engine.make("evidence", evidence(engine, question))
    conditions = [
        *(_rules(served) for served in asked_of(knowledge)),
        "coalesce(bool_or(maybe), false)",
    ]
    engine.make(
        "chosen",
        f"SELECT patient FROM evidence GROUP BY patient HAVING {any_of(conditions)} "
        f"UNION {in_doubt(knowledge)} "
        "UNION SELECT patient FROM patient WHERE persons > 1",
    )


def uses_form(knowledge: Knowledge, question: ScreeningQuestion) -> UsesForm | None:
    """Whether a form of an Observation, as DuckDB has it, says anything that a rule may read.

    `None` where the newest result of all is asked for, whatever it is of.
    """
    if question.data_end is not None:
        return None
    reader = FormReader(knowledge, frozenset(KINDS), question.moment)

    def uses(form: str) -> bool:
        specimen = flatten.specimen_of(RESULT, form)
        return specimen is None or bool(reader.read(RESULT, specimen))

    return uses


def _rules(served: Served) -> str:
    pack = served.program.pack
    return any_of([necessary(rule, pack) for rule in rules_of(pack, TRIGGER)])


def _read_forms(engine: Relations, reader: FormReader, specimen_of: SpecimenOf) -> None:
    forms = engine.rows(
        f"SELECT DISTINCT kind, form FROM line WHERE form IS NOT NULL AND {_IS_READ}"
    )
    rows: list[Row] = []
    for number, (kind, form) in enumerate(forms):
        specimen = specimen_of(kind, form)
        found = [FormRow(maybe=True)] if specimen is None else reader.read(kind, specimen)
        rows.extend((kind, form, number, *_values(row)) for row in found)
    engine.fill("form", FORM_COLUMNS, rows)


def _values(row: FormRow) -> Row:
    return (*(getattr(row, name) for name in _FORM_COLUMNS), *row.limits)


def evidence(engine: Relations, question: ScreeningQuestion) -> str:
    """The rows that `necessary` reads, with `maybe` for what may be anything.

    Of several moments, from the first to the last, these are what is there at any of them, as young
    as it is at the first: conditions only become true by more rows, and by younger ones.
    """
    first, last = _milliseconds(question.first), _milliseconds(question.moment)
    # What was issued later is not there; where no time of issue is, the time of the result counts.
    # What cannot be read is a notice, whatever seems to be its time.
    there = f"(maybe OR NOT coalesce(coalesce(issued, begins) > {last}, false))"
    later = f"AND {there}" if question.cut else ""
    # What is issued before its own time is a notice until then.
    early = "coalesce(CASE WHEN by_day THEN issued < ends ELSE issued < begins END, false)"
    is_early = early if first < last else FALSE
    upper = engine.quotient("number + 1", "up", "down - 1", "down")
    # The engine divides towards nought, below which this has to go down too.
    lower = engine.quotient("number - 1", "up", "1 - down", "down")
    is_born_oddly = "(line.kind = 'Patient' AND line.is_born_oddly)"
    is_odd = f"line.reference IS NOT NULL OR line.is_document OR {is_born_oddly}"
    limits = ", ".join(_LIMITS)
    no_limits = ", ".join(["NULL"] * len(_LIMITS))
    return f"""
        SELECT patient, marker, fact, method, ends, by_day, form_id, number, {first} - ends AS age,
            CASE WHEN has_low THEN upper END AS low, CASE WHEN has_high THEN lower END AS high,
            {limits},
            maybe OR is_odd OR (marker IS NOT NULL AND coalesce(
                {is_early} OR ends > {last} OR begins < {_EARLIEST_MS}
                OR upper > most OR lower < least, true)) AS maybe
        FROM (
            SELECT line.owner AS patient, marker, fact, method, ends, by_day, begins, issued,
                form_id, number, has_low, has_high, least, most, {limits}, maybe,
                {is_odd} AS is_odd,
                CASE WHEN number <= reach THEN {upper} END AS upper,
                CASE WHEN number <= reach THEN {lower} END AS lower
            FROM line JOIN form ON form.kind = line.kind AND form.form = line.form
            WHERE {_IS_READ} {later}
            UNION ALL
            SELECT line.owner, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL, NULL, NULL, {no_limits}, true, true, NULL, NULL
            FROM line WHERE {_IS_READ} AND ({is_odd} OR line.form IS NULL)
        ) AS found
    """


def last_result(engine: Relations, now: datetime) -> datetime:
    """The time of the newest result of the source that is not after `now`."""
    newest = engine.rows(f"SELECT max(begins) FROM line WHERE begins <= {_milliseconds(now)}")[0][0]
    return now if newest is None else datetime.fromtimestamp(newest / 1000, UTC)


def in_doubt(knowledge: Knowledge) -> str:
    """Patients of whom two results of one time may contradict each other, or a part its whole."""
    days = max(
        (
            day
            for asked in asked_of(knowledge)
            for day in asked.program.features.reach_days.values()
        ),
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
                f"max(low) FILTER (WHERE marker = '{part}') "
                f"> min(high) FILTER (WHERE marker = '{whole}')"
            )
    having = any_of([f"coalesce({condition}, false)" for condition in conditions])
    return f"SELECT patient FROM evidence WHERE {recent} GROUP BY patient HAVING {having}"


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
