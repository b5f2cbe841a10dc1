# SPDX-License-Identifier: Apache-2.0
"""What pruning asks of an engine: to keep relations by name, and to be asked.

The queries are one text for every engine: whole numbers, comparisons, three-valued logic, counts,
minima and maxima. What engines do differently is a method here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

Row = tuple[Any, ...]
ColumnType = Literal["BOOLEAN", "BIGINT", "STRING"]


class Relations(Protocol):
    """Named relations of an engine."""

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query under a name, in the place of what was there."""

    def fill(self, name: str, columns: Mapping[str, ColumnType], rows: Sequence[Row]) -> None:
        """Keep these rows under a name, in the place of what was there."""

    def rows(self, sql: str) -> list[Row]:
        """Every row of a query whose answer is small."""

    def quotient(self, amount: str, times: str, plus: str, by: str) -> str:
        """`(amount * times + plus) / by` as SQL, cut off towards nought.

        The product may need more than 64 bits; the quotient has to have room in them.
        """
