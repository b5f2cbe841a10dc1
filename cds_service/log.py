# SPDX-License-Identifier: Apache-2.0
"""One line a request, and the only place that decides what may be logged.

A field is logged only if its name is on the list below and its value has that field's type and
shape; anything else is dropped and counted in `dropped`. Texts must look like names of our own
(short, lower case, no space, no run of four digits), so that no patient's name, number, date or
value can pass by accident. A shape cannot tell every name from an id: callers log a service, hook
or pack only after finding it among those they know, never as the client wrote it.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb
from typing import Any, Final, Literal, TextIO

import structlog

from cds_service.clock import Clock, system_clock
from cds_service.errors import every_error

NAME: Final = re.compile(r"(?!.*\d{4})[a-z][a-z0-9_-]{0,47}")
VERSION: Final = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}")
PROBLEM: Final = re.compile(r"[A-Z]\d{3}|[A-Z][A-Za-z]{0,40}(Error|Exception|Exit|Interrupt)")
# A JSON path: names of members and places in arrays, no value.
PATH: Final = re.compile(r"\$(\.[A-Za-z_]{1,40}|\[(\d{1,5}|\.{3})\]){0,16}")

FIELDS: Final[Mapping[str, type | re.Pattern[str]]] = {
    "service": NAME,
    "hook": NAME,
    "outcome": NAME,
    "status": int,
    "ms": float,
    "results": int,
    "set_aside": int,
    "rules_true": int,
    "rules_unknown": int,
    "cards": int,
    "pack": NAME,
    "pack_version": VERSION,
    "problem": PROBLEM,
    "where": PATH,
    "client": NAME,
    "refused": NAME,
    "feedback": int,
    "fetched": int,
    "failed": int,
    "clients": int,
    "problems": int,
    "arrived": int,
    "foreign": int,
    "work": NAME,
}
# Their messages carry URLs, which may carry a patient's id.
SILENCED: Final = ("urllib3", "werkzeug")

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "text"]
_LONGEST_REMEMBERED: Final = 64  # characters of a value that is looked at once only
SubscriptionEvent = Literal[
    "error", "off", "silent", "gone", "jump", "no-key", "not-revived", "revived", "renewed"
]
ConnectionEvent = Literal[
    "address-refused",
    "too-many",
    "too-many-of-address",
    "garbage",
    "cut-off",
    "too-slow",
    "idle",
    "not-read",
    "not-stored",
    "no-tls",
]


_write_request: Callable[[Mapping[str, object]], object] | None = None
"""Writes the line of a request, if that is JSON: there is one for each call."""


def configure_log(
    level: Level = "info",
    form: Format = "json",
    *,
    stream: TextIO | None = None,
    clock: Clock = system_clock,
) -> None:
    """Set up logging for the process, once, at start-up. Lines go to standard error."""
    global _write_request  # noqa: PLW0603 - logging is of the whole process, as structlog's

    def stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {"at": clock().isoformat(timespec="milliseconds"), **event}

    to = stream or sys.stderr
    is_quick = form == "json" and level in {"debug", "info"}
    _write_request = _writer(to, clock) if is_quick else None

    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(to),
        cache_logger_on_first_use=False,
    )
    for name in SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # and so for its children


def log_request(**fields: object) -> None:
    """Log the one canonical line of a request."""
    given = {name: value for name, value in fields.items() if value is not None}
    kept = {name: value for name, value in given.items() if may_be_logged(name, value)}
    if len(given) > len(kept):
        kept["dropped"] = len(given) - len(kept)
    if _write_request is not None and structlog.is_configured():
        _write_request(kept)
    else:
        structlog.get_logger().info("request", **kept)


def _writer(stream: TextIO, clock: Clock) -> Callable[[Mapping[str, object]], object]:
    """What writes the same line as structlog does, without its steps."""
    lines = structlog.WriteLogger(stream)  # with the lock that other lines take too

    def write(kept: Mapping[str, object]) -> None:
        at = clock().isoformat(timespec="milliseconds")
        lines.msg(json.dumps({"at": at, **kept, "event": "request", "level": "info"}))

    return write


def log_start(*, rules: int, rules_off: int, time_critical: int, signed: bool, **pack: str) -> None:
    """Log what the process serves of a pack: counts, and whether a clinician signed the rules."""
    named = {name: value for name, value in pack.items() if may_be_logged(name, value)}
    structlog.get_logger().info(
        "start",
        **named,
        rules=rules,
        rules_off=rules_off,
        time_critical=time_critical,
        signed=signed,
    )


def log_clients(*, clients: int, problems: int) -> None:
    """Log that the registrations were read: how many are in force, what is wrong with the file."""
    if problems:
        structlog.get_logger().error("clients", clients=clients, problems=problems)
    else:
        structlog.get_logger().info("clients", clients=clients, problems=0)


def log_widened(*, client: str, by: Iterable[str]) -> None:
    """Log that a client may do more than before, and by what of its registration."""
    structlog.get_logger().warning("client-widened", client=client, by=list(by))


def log_signing_keys(*, keys: int, problems: int) -> None:
    """Log that the signing keys were read: how many are in force, what is wrong with the file."""
    if problems:
        structlog.get_logger().error("signing-keys", keys=keys, problems=problems)
    else:
        structlog.get_logger().info("signing-keys", keys=keys, problems=0)


def log_worker_started(*, servers: int) -> None:
    """Log that a worker waits for results that arrive, and how many FHIR servers are listed."""
    structlog.get_logger().info("worker-started", servers=servers)


def log_worker_ended(*, worker: int, exit_code: int, replaced: bool) -> None:
    """Log that a worker process ended by itself: with what, and whether another takes its place."""
    structlog.get_logger().error(
        "worker-ended", worker=worker, exit_code=exit_code, replaced=replaced
    )


def log_orphaned() -> None:
    """Log that the worker ends because the process that started it has ended."""
    structlog.get_logger().error("orphaned")


def log_replay(found: Literal["unchecked", "replayed"]) -> None:
    """Log that a call was let in while its token could not be checked, or that it was a replay."""
    if found == "replayed":
        structlog.get_logger().error("replay", found=found)
    else:
        structlog.get_logger().warning("replay", found=found)


def log_arrivals(*, arrived: int) -> None:
    """Log that a patient was decided on because so many results had arrived."""
    structlog.get_logger().info("arrival", arrived=arrived)


def log_arrival_failed(code: str, *, dead: bool = False) -> None:
    """Log why work on what arrived failed, by a code of ours; `dead` if it is not tried again."""
    named = {"problem": code} if NAME.fullmatch(code) else {}
    if dead:
        structlog.get_logger().error("arrival-dead", **named)
    else:
        structlog.get_logger().warning("arrival-failed", **named)


def log_listener_started(*, senders: int, encrypted: bool) -> None:
    """Log that messages of HL7 v2 are waited for, from how many senders."""
    structlog.get_logger().info("listener-started", senders=senders, encrypted=encrypted)


def log_message(outcome: str, *, ms: float) -> None:
    """Log what became of a message of HL7 v2, by a word of ours."""
    named = {"outcome": outcome} if NAME.fullmatch(outcome) else {}
    if outcome in {"stored", "repeated"}:
        structlog.get_logger().info("message", **named, ms=round(ms, 1))
    else:
        structlog.get_logger().warning("message", **named, ms=round(ms, 1))


def log_connection(found: ConnectionEvent) -> None:
    """Log what was wrong with a connection over which messages come."""
    structlog.get_logger().warning("message-connection", found=found)


def log_message_written(*, results: int, superseded: int) -> None:
    """Log how many results of a message were written, and how many a later one had written."""
    structlog.get_logger().info("message-written", results=results, superseded=superseded)


def log_subscription(found: SubscriptionEvent) -> None:
    """Log what has become of a Subscription; an alarm, unless the worker has written it again."""
    if found in {"renewed", "revived"}:
        structlog.get_logger().warning("subscription", found=found)
    else:
        structlog.get_logger().error("subscription", found=found)


def log_crash(error: BaseException) -> None:
    """Log an error that nobody foresaw: its class and where it was raised, never its message."""
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in extract_tb(error.__traceback__)
    ]
    structlog.get_logger().error("crash", problem=type(error).__name__, frames=frames)


def may_be_logged(name: str, value: object) -> bool:
    """Whether a field of this name may have this value in a log, or in a trace."""
    shape = FIELDS.get(name)
    if isinstance(shape, re.Pattern):
        if not isinstance(value, str):
            return False
        if len(value) > _LONGEST_REMEMBERED:
            return _has_shape(shape, value)
        return _is_known_to_have_shape(shape, value)
    if isinstance(value, bool) or shape is None:
        return False
    return isinstance(value, int) or (shape is float and isinstance(value, float))


def _has_shape(shape: re.Pattern[str], value: str) -> bool:
    if shape.fullmatch(value) is not None:
        return True
    return shape is PROBLEM and value in {error.__name__ for error in every_error()}


# The same names are logged again and again.
_is_known_to_have_shape = lru_cache(maxsize=1024)(_has_shape)
