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

_RESOURCES_A_BATCH: Final = 6000
_KINDS: Final = ", ".join(f"'{kind}'" for kind in KINDS)


def keep(engine: Engine, lines: Lines) -> int:
    """Read the resources of the patients in the table `chosen`, and say in how many batches.

    The batch of a patient depends on the id and the number of batches alone, so that a run that is
    started again makes the same ones.
    """
    resources = engine.value(
        "SELECT coalesce(sum(resources), 0) FROM patient SEMI JOIN chosen USING (patient)"
    )
    batches = batch_count(int(resources))
    # By reference and not by patient, so that the least is made of lines that are not wanted.
    wanted = (
        "SELECT 'Patient/' || patient AS reference, patient FROM chosen "
        "UNION SELECT reference, patient FROM owner SEMI JOIN chosen USING (patient)"
    )
    engine.run(
        "CREATE OR REPLACE TABLE kept AS "
        f"SELECT md5_number_lower(patient) % {batches} AS batch, patient, kind, text, address, "
        "json_extract_string(text, '$.medicationReference.reference') AS shared FROM ("
        f"SELECT wanted.patient, kind, text::VARCHAR AS text, address FROM "
        f"({with_owner(lines.scan)}) JOIN ({wanted}) AS wanted USING (reference) "
        f"WHERE kind IN ({_KINDS})) ORDER BY batch, patient"
    )
    engine.run(
        "CREATE OR REPLACE TABLE shared AS SELECT id, address, text::VARCHAR AS text "
        f"FROM ({with_owner(lines.scan)}) WHERE kind = '{SHARED}'"
        if engine.value(f"SELECT count(*) FROM line WHERE kind = '{SHARED}'")
        else "CREATE OR REPLACE TABLE shared (id VARCHAR, address VARCHAR, text VARCHAR)"
    )
    return batches


def batch_count(resources: int) -> int:
    """In how many batches so many resources are decided about."""
    return max(1, -(-resources // _RESOURCES_A_BATCH))


def batches_of(engine: Engine, count: int, done: Collection[int]) -> Iterator[Batch]:
    """The batches that are not done, each read when it is asked for."""
    for number in range(count):
        if number not in done:
            yield Batch(number, tuple(_patients(engine, number)))


def _patients(engine: Engine, number: int) -> Iterator[tuple[str, tuple[ResourceText, ...]]]:
    own = "SELECT patient, kind, text, address FROM kept WHERE batch = $batch"
    shared = (
        f"SELECT kept.patient, '{SHARED}', shared.text, shared.address FROM kept JOIN shared "
        "ON shared.{} WHERE kept.batch = $batch"
    )
    by_id = shared.format("id = regexp_extract(kept.shared, '([^/]+)(/_history/.*)?$', 1)")
    by_address = shared.format("address = kept.shared")
    rows = engine.rows(
        f"{own} UNION ALL ({by_id} UNION {by_address}) ORDER BY ALL", {"batch": number}
    )
    for patient, group in groupby(rows, key=itemgetter(0)):
        yield patient, tuple(ResourceText(kind, text, address) for _, kind, text, address in group)
