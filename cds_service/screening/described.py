# SPDX-License-Identifier: Apache-2.0
"""What Patients and Encounters say of themselves, for the counts that are kept of a population."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Final

from cds_service.screening.engine import Engine
from cds_service.screening.openings import NOT_HELD, DaySpan, Opening
from cds_service.screening.people import Cell, SexAndAge, cells_of, person_of
from cds_service.screening.reading import owner_of
from cds_service.screening.relations import Relations
from cds_service.screening.scans import with_owner

_DAY: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_PEOPLE: Final = (
    "SELECT patient, min(gender) AS gender, min(birth) AS birth FROM described "
    "WHERE kind = 'Patient' AND patient IS NOT NULL GROUP BY patient"
)


def describe(engine: Engine, scan: str, period: DaySpan | None = None) -> None:
    """Make the table `described` of Patients, and of Encounters that may be of the period.

    `scan` is a query of the lines they are among: `text`, `owner`, `address`.
    """
    kinds = ("Patient",) if period is None else ("Patient", "Encounter")
    # Looking for a word is far cheaper than reading the JSON of every line.
    words = " OR ".join(f"""contains(text::VARCHAR, '"{kind}"')""" for kind in kinds)
    lines_of_kinds = with_owner(f"SELECT * FROM ({scan}) WHERE {words}")
    engine.run(f"""
        CREATE OR REPLACE TABLE described AS
        SELECT patient, kind, gender, birth, CASE WHEN kind = 'Encounter' THEN text END AS text
        FROM (
            SELECT coalesce({owner_of("w.reference")}, o.patient) AS patient, w.kind,
                json_extract_string(w.text, '$.gender') AS gender,
                json_extract_string(w.text, '$.birthDate') AS birth, w.text::VARCHAR AS text,
                json_extract_string(w.text, '$.status') AS status
            FROM ({lines_of_kinds}) AS w LEFT JOIN owner AS o ON o.reference = w.reference
        )
        WHERE kind = 'Patient' {"" if period is None else f"OR ({_may_be_in(period)})"}
    """)


def _may_be_in(period: DaySpan) -> str:
    """Whether a line is an Encounter that took place, and not on other days by its texts."""
    # A day more on each side: the text may be of another time zone.
    last = (period.last + timedelta(days=1)).isoformat()
    first = (period.first - timedelta(days=1)).isoformat()
    began, ended = (
        f"regexp_extract(json_extract_string(text, '$.period.{end}'), '{_DAY}')"
        for end in ("start", "end")
    )
    not_held = ", ".join(f"'{status}'" for status in sorted(NOT_HELD))
    return (
        f"kind = 'Encounter' AND coalesce(status, '') NOT IN ({not_held}) "
        f"AND coalesce({began} <= '{last}', true) "
        f"AND coalesce({ended} = '' OR {ended} >= '{first}', true)"
    )


def count_people(engine: Relations, day: date) -> Counter[Cell]:
    """How many patients there are of each sex and band of age on this day."""
    counted: Counter[Cell] = Counter()
    for gender, birth, count in engine.rows(
        f"SELECT gender, birth, count(*) FROM patient LEFT JOIN ({_PEOPLE}) USING (patient) "
        "GROUP BY ALL"
    ):
        for cell in cells_of(person_of(gender, birth, day)):
            counted[cell] += count
    return counted


def split(engine: Engine, count: int) -> None:
    """Make the tables `about` and `opened` of those in `chosen`, in as many batches as `kept`."""
    batch = f"md5_number_lower(patient) % {count} AS batch"
    engine.run(
        f"CREATE OR REPLACE TABLE about AS SELECT {batch}, patient, gender, birth "
        f"FROM ({_PEOPLE}) SEMI JOIN chosen USING (patient) ORDER BY batch"
    )
    engine.run(
        f"CREATE OR REPLACE TABLE opened AS SELECT {batch}, patient, day, ward "
        "FROM opening SEMI JOIN chosen USING (patient) ORDER BY batch, patient, day"
    )


def people_of(engine: Engine, batch: int, day: date) -> Mapping[str, SexAndAge]:
    """What the patients of a batch are counted under, of those with a Patient."""
    asked = "SELECT patient, gender, birth FROM about WHERE batch = $batch"
    rows = engine.rows(asked, {"batch": batch})
    return {patient: person_of(gender, birth, day) for patient, gender, birth in rows}


def openings_of(engine: Engine, batch: int) -> Mapping[str, tuple[Opening, ...]]:
    """The days on which the charts of the patients of a batch are opened, in their order."""
    asked = "SELECT patient, day, ward FROM opened WHERE batch = $batch ORDER BY ALL"
    rows = engine.rows(asked, {"batch": batch})
    return {
        patient: tuple(Opening(day, ward) for _, day, ward in group)
        for patient, group in groupby(rows, key=itemgetter(0))
    }
