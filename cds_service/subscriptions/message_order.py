# SPDX-License-Identifier: Apache-2.0
"""Whether what a message says of a result replaces what was written of it before.

By HL7's table 0085 a final result changes by a correction (C, A) or a withdrawal (D, W) alone. Yet
laboratories send final results (F) again: with a report that is sent whole, or out of the queue of
what once failed. Such a repeat must not undo a correction that came in between. What is older by
the time of its message (MSH-7) replaces nothing; where that says nothing, a person has to look.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from cds_service.copying import replace
from cds_service.iso_times import moment_of

SETTLED: Final = frozenset(("final", "amended", "corrected"))
UNSETTLED: Final = frozenset(("registered", "preliminary", "unknown"))
CHANGES: Final = frozenset(("amended", "corrected", "entered-in-error"))
_CORRECTED: Final = frozenset(("amended", "corrected"))
_WITH_VALUES: Final = SETTLED | {"preliminary"}
WITHDRAWN: Final = "entered-in-error"
_CANCELLED: Final = "cancelled"  # X and N
NO_VALUE: Final = "-"  # before the digest of a result that has none
_NEVER_CAME: Final = "?"  # in place of the digest of what was corrected
_TAKEN_BACK: Final = "!"  # among digests: a withdrawal was
_MARKS: Final = (_NEVER_CAME, _TAKEN_BACK)
_MOST_REPLACED: Final = 8  # digests of the earlier contents of a result
# A time without a zone can be that of any; the zones of the earth are from -12 to +14 hours.
_EASTERNMOST: Final = timedelta(hours=14)
_WESTERNMOST: Final = timedelta(hours=12)
_MOST_AHEAD: Final = timedelta(minutes=10)  # that the clock of a sender may be

Why: TypeAlias = Literal["which", "newer", "obtained", "unknown"]
_WORDS: Final[Mapping[Why, str]] = {
    "which": """Expected the time of collection of one of the results of its order number and test:
        which of them it is about is not known.""",
    "newer": """Expected a later time of the message (MSH-7), with its zone and by a clock that is
        not ahead, than that of what was sent of this result before: which of both holds is not
        known.""",
    "obtained": """Expected a correction or a withdrawal (C, A, D, W) of a result that has a value:
        another status, or no value, does not take it back.""",
    "unknown": """Expected a correction (C, A): the result that was corrected or withdrawn never
        came, or is not known any more, so that this may be it.""",
}
_FIELDS: Final[Mapping[Why, str]] = {
    "which": "OBX^1^14",
    "newer": "MSH^1^7",
    "obtained": "OBX^1^11",
    "unknown": "OBX^1^11",
}


class UnclearResult(Exception):
    """A result of the message changes one that was written before, and not clearly which, or how.

    `where` is the field that would make it clear, as ERR-2 names it.
    """

    def __init__(self, why: Why) -> None:
        super().__init__(" ".join(_WORDS[why].split()))
        self.where = _FIELDS[why]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one message says of a result.

    `sent` is the time of the message, empty if it has none; `content` a digest of the result
    without its status and time; `replaced` those of its contents before.
    """

    status: str
    sent: str = ""
    content: str = ""
    replaced: tuple[str, ...] = ()

    @property
    def has_value(self) -> bool:
        """Whether it has a value, as far as that is known."""
        return not self.content.startswith(NO_VALUE)

    @property
    def is_original_known(self) -> bool:
        """Whether it is known what was corrected or withdrawn first."""
        digests = set(self.replaced) - {_TAKEN_BACK}
        return bool(digests) and _NEVER_CAME not in digests

    @property
    def was_withdrawn(self) -> bool:
        """Whether an earlier message withdrew it."""
        return _TAKEN_BACK in self.replaced


def first_statement(new: Statement) -> Statement:
    """The statement about a result of which nothing was written before.

    What a correction is about may come yet, and is not known until then; a withdrawal may hold it.
    """
    if new.status not in CHANGES:
        return new
    is_named = new.status == WITHDRAWN and new.has_value
    mark = (_TAKEN_BACK,) if new.status == WITHDRAWN else ()
    return replace(new, replaced=(new.content if is_named else _NEVER_CAME, *mark))


def replacement(last: Statement, new: Statement) -> Statement | None:
    """What is to be written, `None` if what is there stays; raises `UnclearResult`."""
    if last.status in SETTLED and new.status in UNSETTLED:
        return None
    order = sent_order(new.sent, last.sent)
    is_written = (
        _older_replaces(last, new) if order == "before" else _replaces(last, new, order == "after")
    )
    return continued(last, new) if is_written else None


def continued(last: Statement, new: Statement) -> Statement:
    """The new statement with what it replaced; a repeat of a correction in words stays one."""
    is_same = _is_same(last, new)
    before = [
        content for content in (*last.replaced, last.content) if content and content != new.content
    ]
    if is_same and new.status == WITHDRAWN:
        before.append(new.content)
    if new.status == WITHDRAWN:
        before.append(_TAKEN_BACK)
    marks = tuple(mark for mark in _MARKS if mark in before)
    contents = tuple(content for content in dict.fromkeys(before) if content not in _MARKS)
    is_repeat = is_same and last.status in _CORRECTED and new.status == "final"
    is_later = sent_order(new.sent, last.sent) == "after"
    return Statement(
        status=last.status if is_repeat else new.status,
        sent=last.sent if is_repeat and not is_later else new.sent,
        content=new.content,
        replaced=(*contents[-_MOST_REPLACED:], *marks),
    )


def _older_replaces(last: Statement, new: Statement) -> bool:
    """Whether the message that was sent earlier, and comes later, is written."""
    if _is_same(last, new) and (new.status != WITHDRAWN or last.status == WITHDRAWN):
        return False
    if new.content in last.replaced and new.status not in CHANGES:
        return False
    # In their order what is not final would not have replaced what is, but after a withdrawal.
    if last.status in UNSETTLED and new.status in SETTLED:
        if last.was_withdrawn:
            raise UnclearResult("newer")
        return True
    if new.status in CHANGES and new.content not in last.replaced:
        raise UnclearResult("newer")
    if last.status == _CANCELLED and new.status in SETTLED:
        raise UnclearResult("obtained")
    return False


def _replaces(last: Statement, new: Statement, is_newer: bool) -> bool:
    """Whether a message that is newer, or not known to be older, is written."""
    is_same = _is_same(last, new)
    is_repeat = new.content in last.replaced
    if last.status in SETTLED and new.status == _CANCELLED:
        raise UnclearResult("obtained")
    # Of U ("final without retransmitting results") the value is what was sent before.
    had_value = last.has_value and last.status in _WITH_VALUES
    if new.status == "final" and had_value and not new.has_value:
        raise UnclearResult("obtained")
    if last.status in _CORRECTED and new.status == "final":
        if not is_same and (is_repeat or not is_newer):
            raise UnclearResult("newer")
        if not is_same and not last.is_original_known:
            raise UnclearResult("unknown")
    elif last.status == WITHDRAWN and new.status != WITHDRAWN:
        if (is_same or is_repeat) and not (is_newer and new.status in CHANGES):
            raise UnclearResult("newer")
        if not last.is_original_known and new.status not in CHANGES:
            raise UnclearResult("unknown")
    elif is_repeat and not is_newer:
        if last.status in _CORRECTED and new.status in _CORRECTED:
            raise UnclearResult("newer")
        # What was withdrawn may have been made preliminary since.
        if last.was_withdrawn and new.status in SETTLED:
            raise UnclearResult("newer")
    return True


def sent_order(sent: str, other: str) -> Literal["before", "after", "unknown"]:
    """Whether one time is surely before or after the other, in any zone where one is missing.

    >>> sent_order("2026-03-05T10:00:00+01:00", "2026-03-05T10:00:00+00:00")
    'before'
    >>> sent_order("2026-03-05T10:00:00", "2026-03-05T11:00:00")
    'unknown'
    """
    first, second = _span(sent), _span(other)
    if first is None or second is None:
        return "unknown"
    if first[1] <= second[0]:
        return "before"
    return "after" if first[0] >= second[1] else "unknown"


def sent_by_right_clock(sent: str, known: datetime) -> str:
    """The time of a message; empty if it cannot be read, or if its sender's clock was ahead.

    It was if the time lies more than ten minutes after it was known, that is received or written to
    the server. What that clock sends is not newer for it; and once the clock is set right, what is
    sent would count as older for as long as it was wrong by.

    >>> sent_by_right_clock("2027-03-05T10:00:00+01:00", datetime(2026, 3, 5, 9, tzinfo=UTC))
    ''
    """
    span = _span(sent)
    return sent if span is not None and span[0] <= known + _MOST_AHEAD else ""


def _span(time: str) -> tuple[datetime, datetime] | None:
    """The first moment that a time may be, and the first that it is not any more."""
    if "T" not in time:
        return None
    read = moment_of(time)
    width = timedelta(seconds=1) if time[16:17] == ":" else timedelta(minutes=1)
    try:
        if read.tzinfo is not None:
            begin = read.astimezone(UTC)
            return begin, begin + width
        bare = read.replace(tzinfo=UTC)
        return bare - _EASTERNMOST, bare + _WESTERNMOST + width
    except OverflowError:  # in the first or the last year that there is
        return None


def _is_same(statement: Statement, other: Statement) -> bool:
    return bool(statement.content) and statement.content == other.content
