# SPDX-License-Identifier: Apache-2.0
"""What the inbox holds, and what it hands to a worker.

A function of the type `Decide` makes an `ArrivalDecision` of it: the inbox knows no rules.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection

ITEM: Final = "item:"
SEARCH: Final = "search:"
GAP: Final = "gap:"
FAILING: Final = 3  # times that a search has failed, after which somebody has to look
LOOK: Final = "look:"
ADVICE: Final = "advice"  # the type of an item that is advice which is still to be written
MESSAGE: Final = "hl7-v2"  # the type of an item that is a message about one patient
OF_MESSAGES: Final = "message:"
ASKED_AGAIN: Final = 3  # times while a server contradicts itself

State: TypeAlias = Literal["waiting", "done", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A version of a resource that a server notified of, as the inbox keeps it.

    `body` is the resource as it was sent or read; `None` if it is gone, or if the item is done.
    An item of the type `ADVICE` is a decision whose advice the server refused: its `resource_id` is
    the id of that decision. `unsure`: it has to be read before it is decided on.
    """

    id: int
    server: str
    type: str
    resource_id: str
    version: str
    updated: datetime | None
    gone: bool
    subscription: str
    received: datetime
    body: bytes | None = field(repr=False)
    patient: str = field(repr=False)
    state: State = "waiting"
    attempts: int = 0
    problem: str = ""
    unsure: bool = False

    @property
    def reference(self) -> str:
        """The reference of the resource."""
        return f"{self.type}/{self.resource_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What arrived for one patient: of each resource its newest state, and nothing older."""

    server: str
    patient: str = field(repr=False)
    items: tuple[Item, ...]
    attempts: int = 0  # that failed before


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalDecision:
    """What was decided on a `Work`; a row of the table `decisions`.

    `input` is what it was decided from, and is compressed when it is kept. `also` writes more in
    the transaction that keeps the decision, whose id it is given. `unwritten` is what the inbox
    keeps, in an item of the type `ADVICE`, to try again what the server refused. `gone` are the
    references of what arrived and was not on the server.
    """

    trigger: str
    packs: Mapping[str, Any]
    input: bytes = field(repr=False)
    findings: Sequence[Mapping[str, Any]] = field(repr=False)
    mode: Literal["silent", "on"] = "silent"
    written: Literal["no", "yes", "failed", "withdrawn"] = "no"
    problem: str = ""
    also: Callable[[Connection, int], object] | None = None
    unwritten: bytes | None = field(default=None, repr=False)
    gone: frozenset[str] = frozenset()


Decide: TypeAlias = Callable[[Work], ArrivalDecision | None]
"""Decides on a patient; `None` where there is nothing to decide.

May be called again for the same work, and has to repeat what it did.
Raises `Retry` for what another time may give, such as a server that does not answer, and
`StillRefused` if nothing but refused advice was tried again, and was refused again.
"""


WriteMessage: TypeAlias = Callable[[Item], None]
"""Writes the results of a message; may be called again for the same. Raises as `Decide` does, and
`Unwritable`."""


class Retry(Exception):
    """The work cannot be done now; `code` says why, as one of `QUERY_FAILURES` or so.

    `within` is how long it is tried, if not as long as while a server is away.
    """

    def __init__(self, code: str, *, within: timedelta | None = None) -> None:
        super().__init__("The work cannot be done now.")
        self.code = code
        self.within = within


class StillRefused(Exception):
    """A server does not take advice that it refused before; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__("The FHIR server refused the advice again.")
        self.code = code


class Unwritable(Exception):
    """The results of a message cannot be written; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__("The results of the message cannot be written.")
        self.code = code


class LeaseLost(Exception):
    """Another worker has the work by now: nothing was kept."""

    def __init__(self) -> None:
        super().__init__("Another worker has this work by now.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A row of the queue that a worker holds until `until`.

    `items` are what it has to handle, `superseded` the ids of those that a newer version or a
    deletion makes superfluous. `left` says that other items of the row wait for another lease.
    """

    server: str
    key: str = field(repr=False)
    fence: int
    wanted: int
    attempts: int
    until: datetime
    items: tuple[Item, ...] = ()
    superseded: tuple[int, ...] = ()
    left: bool = False

    @property
    def work(self) -> Work:
        """What is to be decided."""
        return Work(server=self.server, patient=self.key, items=self.items, attempts=self.attempts)
