# SPDX-License-Identifier: Apache-2.0
"""The relations of a run in Spark: views by name, kept where they are asked for again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cds_service.screening.relations import ColumnType, Row

_SMALL: Final = 1_000_000_000  # the product of two has room in 64 bits
_BY_PATIENT: Final = frozenset(("evidence",))  # so that one shuffle serves every question


class SparkRelations:
    """Relations as `screening.relations` has them."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query under a name, in the place of what was there."""
        found = self._session.sql(query)
        self.keep(name, found.repartition("patient") if name in _BY_PATIENT else found)

    def keep(self, name: str, found: Any) -> Any:
        """Keep the rows of a data frame under a name, and give them back."""
        kept = found.persist()
        kept.createOrReplaceTempView(name)
        return kept

    def fill(self, name: str, columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> None:
        """Keep these rows under a name; every machine gets all of them."""
        typed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        found = self._session.createDataFrame(list(rows), typed)
        found.hint("broadcast").createOrReplaceTempView(name)

    def rows(self, sql: str) -> list[Row]:
        """Every row of a query whose answer is small."""
        return [tuple(row) for row in self._session.sql(sql).collect()]

    @staticmethod
    def quotient(amount: str, times: str, plus: str, by: str) -> str:
        """`(amount * times + plus) / by`, cut off towards nought, of products of 38 digits.

        Most have room in 64 bits, which takes a fraction of the time.
        """
        is_small = " AND ".join(
            f"{operand} BETWEEN {-_SMALL} AND {_SMALL}" for operand in (amount, times, plus)
        )
        return (
            f"(CASE WHEN {is_small} THEN (({amount}) * {times} + {plus}) div {by} "
            f"ELSE (CAST({amount} AS DECIMAL(20, 0)) * {times} + {plus}) div {by} END)"
        )
