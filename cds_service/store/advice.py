# SPDX-License-Identifier: Apache-2.0
"""What of ours was written to FHIR servers: the rows of `advice_written`.

Every method raises `StoreError` if the database does not answer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, delete, insert, select, update

from cds_service.knowledge.model.pack import Indicator
from cds_service.store.store import Transactions
from cds_service.store.tables import advice_written

AdviceState: TypeAlias = Literal[
    "writing",
    "open",
    "withdrawing",
    "cancelled",
    "rejected",
    "left-alone",
    "not-found",
    "silent",
    "silent-over",
]

# Somebody may still act on these, so what they propose is not proposed again.
COUNTING: Final = frozenset(("open", "left-alone"))
# These are to be found on the server, as far as is known.
STANDING: Final = frozenset(("open", "withdrawing"))
# These are looked for on the server whenever something is decided.
LOOKED_FOR: Final = STANDING | {"writing", "left-alone", "not-found"}
# Nobody here will withdraw these any more, unless one is found again.
OVER: Final = frozenset(("cancelled", "rejected", "left-alone", "not-found"))
# What would have been written in silent mode, and what would have been withdrawn of it.
SILENT: Final = frozenset(("silent", "silent-over"))


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAdvice:
    """A Task that was written, or is being written; `id` is 0 before it has a row.

    `proposals` are the references of its ServiceRequests, with their versions.
    """

    server: str
    patient: str = field(repr=False)
    pack: str
    rule: str
    rule_version: str
    marker: str
    result: str = field(repr=False)
    identifier: str
    indicator: Indicator
    written: datetime
    task: str = field(default="", repr=False)
    task_version: str = ""
    proposals: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    state: AdviceState = "writing"
    decision: int = 0
    id: int = 0


class AdviceTable:
    """The rows, over an open database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def of_patient(self, server: str, patient: str) -> tuple[WrittenAdvice, ...]:
        """Everything that was ever written about a patient, in its order."""
        table = advice_written.c
        return self._found(table.server == server, table.patient == patient)

    def written_since(self, since: datetime) -> tuple[WrittenAdvice, ...]:
        """What was written since then and may still be acted on."""
        table = advice_written.c
        return self._found(table.written >= since, table.state.in_(COUNTING))

    def changed_since(self, since: datetime) -> tuple[tuple[WrittenAdvice, datetime], ...]:
        """What changed since then in any way, with the time of that."""
        table = advice_written.c
        question = select(advice_written).where(table.changed >= since).order_by(table.changed)
        with self._database.reading() as connection:
            rows = connection.execute(question).mappings()
            return tuple((_of(row), row["changed"]) for row in rows)

    def begin(self, advice: Iterable[WrittenAdvice], now: datetime) -> None:
        """Note that these are being written, before anything is sent."""
        rows = [_row(row, now) for row in advice]
        if not rows:
            return
        with self._database.writing() as connection:
            connection.execute(insert(advice_written), rows)

    def note_rejected(self, server: str, identifiers: Collection[str], now: datetime) -> int:
        """Note that somebody will not do these; how many of them still counted."""
        if not identifiers:
            return 0
        table = advice_written.c
        counting = (table.server == server, table.state.in_(COUNTING))
        changing = (
            update(advice_written)
            .where(*counting, table.identifier.in_(identifiers))
            .values(state="rejected", changed=now)
        )
        with self._database.writing() as connection:
            return connection.execute(changing).rowcount

    def note_withdrawn(self, server: str, identifier: str, now: datetime) -> None:
        """Note that what is being written stands there, withdrawn by us before."""
        table = advice_written.c
        same = (table.server == server, table.identifier == identifier, table.state == "writing")
        changing = update(advice_written).where(*same).values(state="cancelled", changed=now)
        with self._database.writing() as connection:
            connection.execute(changing)

    def _found(self, *where: Any) -> tuple[WrittenAdvice, ...]:
        question = select(advice_written).where(*where).order_by(advice_written.c.id)
        with self._database.reading() as connection:
            return tuple(_of(row) for row in connection.execute(question).mappings())


def keep_advice(
    connection: Connection, advice: Sequence[WrittenAdvice], decision: int, now: datetime
) -> None:
    """Keep what became of these, within a transaction of the caller.

    What was written gets the id of the decision; what did not come to be written is forgotten.
    What would have been written has rows of its own: one that is known only as written gets none.
    What is open beside newer advice of the same rule and marker is to be withdrawn from then on.
    """
    table = advice_written.c
    for row in sorted(advice, key=lambda row: row.state == "open"):
        same = (table.server == row.server, table.identifier == row.identifier)
        if row.state == "writing":
            connection.execute(delete(advice_written).where(*same, table.state == "writing"))
            continue
        values = _row(row, now) | {"decision": row.decision or decision}
        if row.state == "silent":
            connection.execute(insert(advice_written).values(**values))
            continue
        if row.state == "open":
            _make_room(connection, row, now)
        of_its_kind = table.state.in_(SILENT)
        if row.state not in SILENT:
            of_its_kind = ~of_its_kind
        connection.execute(update(advice_written).where(*same, of_its_kind).values(**values))


def _make_room(connection: Connection, advice: WrittenAdvice, now: datetime) -> None:
    """Have what is open of the same rule and marker withdrawn, now that this is open."""
    table = advice_written.c
    others = (
        table.server == advice.server,
        table.patient == advice.patient,
        table.rule == advice.rule,
        table.marker == advice.marker,
        table.identifier != advice.identifier,
        table.state == "open",
    )
    changing = update(advice_written).where(*others).values(state="withdrawing", changed=now)
    connection.execute(changing)


def _row(advice: WrittenAdvice, now: datetime) -> dict[str, Any]:
    row = asdict(advice) | {
        "proposals": [list(proposal) for proposal in advice.proposals],
        "changed": now,
    }
    del row["id"]
    return row


def _of(row: Mapping[Any, Any]) -> WrittenAdvice:
    values = {str(name): value for name, value in row.items() if name != "changed"}
    proposals = tuple((str(name), str(version)) for name, version in row["proposals"])
    return WrittenAdvice(**values | {"proposals": proposals})
