# SPDX-License-Identifier: Apache-2.0
"""The resources of the patients who are decided about, in batches of whole patients."""

from collections.abc import Collection, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from cds_service.prefetch_keys import KINDS
from cds_service.screening.engine import Engine
from cds_service.screening.lines import Lines
from cds_service.screening.scans import SHARED, with_owner
from cds_service.screening.workers import Batch
from cds_service.sources.lines import ResourceText

AGAIN: Final = "SELECT text, owner, address FROM again"
"""Lines of the source, among them those that are kept and all Patients."""

_RESOURCES_A_BATCH: Final = 6000
_WORTH_LOOKING: Final = 0.5  # of the lines; where more are kept, all are read at once
_KINDS: Final = ", ".join(f"'{kind}'" for kind in KINDS)
_WANTED: Final = (
    "SELECT 'Patient/' || patient AS reference, patient FROM chosen "
    "UNION SELECT reference, patient FROM owner SEMI JOIN chosen USING (patient)"
)


def keep(engine: Engine, lines: Lines) -> int:
    """Read the resources of the patients in the table `chosen`, and say in how many batches.

    The batch of a patient depends on the id and the number of batches alone, so that a run that is
    started again makes the same ones. `AGAIN` is then a query of these lines and of all Patients.
    """
    resources = int(
        engine.value(
            "SELECT coalesce(sum(resources), 0) FROM patient SEMI JOIN chosen USING (patient)"
        )
    )
    batches = batch_count(resources)
    engine.run("DROP VIEW IF EXISTS again")
    is_part = resources < lines.resources * _WORTH_LOOKING
    if is_part:
        _read_again(engine, lines.scan)
        _keep_of(engine, AGAIN, batches)
    # A Patient that has a `subject` was looked for in the wrong place.
    if not is_part or engine.value("SELECT count(*) FROM kept") != resources or _lacks(engine):
        engine.run("DROP TABLE IF EXISTS again")
        engine.run(f"CREATE VIEW again AS {lines.scan}")
        _keep_of(engine, AGAIN, batches)
    has_shared = engine.value(f"SELECT count(*) FROM line WHERE kind = '{SHARED}'")
    engine.run(
        "CREATE OR REPLACE TABLE shared AS SELECT id, address, text::VARCHAR AS text "
        f"FROM ({with_owner(lines.scan)}) WHERE kind = '{SHARED}'"
        if has_shared
        else "CREATE OR REPLACE TABLE shared (id VARCHAR, address VARCHAR, text VARCHAR)"
    )
    return batches


def _read_again(engine: Engine, scan: str) -> None:
    """Make `again` of the lines whose subject is wanted or is in another place."""
    subject = "json_extract_string(text, '$.subject.reference')"  # of each line this one only
    engine.run(
        f"CREATE OR REPLACE TABLE again AS SELECT text, owner, address FROM ({scan}) WHERE "
        f"owner IS NOT NULL OR coalesce({subject} IN (SELECT reference FROM ({_WANTED})), true)"
    )


def _keep_of(engine: Engine, scan: str, batches: int) -> None:
    # By reference and not by patient, so that the least is made of lines that are not wanted.
    engine.run(
        "CREATE OR REPLACE TABLE kept AS "
        f"SELECT md5_number_lower(patient) % {batches} AS batch, patient, kind, text, address, "
        "json_extract_string(text, '$.medicationReference.reference') AS shared FROM ("
        f"SELECT wanted.patient, kind, text::VARCHAR AS text, address FROM "
        f"({with_owner(scan)}) JOIN ({_WANTED}) AS wanted USING (reference) "
        f"WHERE kind IN ({_KINDS})) ORDER BY batch, patient"
    )


def _lacks(engine: Engine) -> bool:
    """Whether a Patient of the source is not in `again`."""
    found = "SELECT count(*) FROM again WHERE json_extract_string(text, '$.resourceType')"
    return bool(
        engine.value(f"{found} = 'Patient'")
        != engine.value("SELECT count(*) FROM line WHERE kind = 'Patient'")
    )


def batch_count(resources: int) -> int:
    """In how many batches so many resources are decided about."""
    return max(1, -(-resources // _RESOURCES_A_BATCH))


def batches_of(engine: Engine, count: int, done: Collection[int]) -> Iterator[Batch]:
    """The batches that are not done, each read when it is asked for."""
    asked = _asked(has_shared=bool(engine.value("SELECT count(*) FROM shared")))
    for number in range(count):
        if number not in done:
            yield Batch(number, tuple(_patients(engine, asked, number)))


def _asked(*, has_shared: bool) -> str:
    """The query of the resources of a batch, with those that they refer to, by patient."""
    own = "SELECT patient, kind, text, address FROM kept WHERE batch = $batch"
    if not has_shared:
        return f"{own} ORDER BY patient"
    shared = (
        f"SELECT kept.patient, '{SHARED}', shared.text, shared.address FROM kept JOIN shared "
        "ON shared.{} WHERE kept.batch = $batch"
    )
    by_id = shared.format("id = regexp_extract(kept.shared, '([^/]+)(/_history/.*)?$', 1)")
    by_address = shared.format("address = kept.shared")
    return f"{own} UNION ALL ({by_id} UNION {by_address}) ORDER BY patient"


def _patients(
    engine: Engine, asked: str, number: int
) -> Iterator[tuple[str, tuple[ResourceText, ...]]]:
    for patient, group in groupby(engine.rows(asked, {"batch": number}), key=itemgetter(0)):
        yield patient, tuple(ResourceText(*row[1:]) for row in group)
