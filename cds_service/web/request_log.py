# SPDX-License-Identifier: Apache-2.0
"""What is kept of a request: one log line and a few counts, none of which can name a patient.

Services, hooks, rules and markers are written only after they were found among those the packs
know. `log.py` decides again what may pass.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from cds_service.clock import Stopwatch
from cds_service.decide import Outcome
from cds_service.errors import CdsServiceError
from cds_service.knowledge.model.pack import Answer
from cds_service.log import log_request
from cds_service.metrics import Metrics
from cds_service.prefetch_keys import kinds_of_key
from cds_service.rules.reasons import HeldBack

_NONE = "none"
_ANSWERS: Mapping[Answer, str] = {answer: answer.replace(" ", "-") for answer in get_args(Answer)}
_HELD_BACK = get_args(HeldBack)  # a tuple of types is asked quicker than their union
_OF_A_KEY = re.compile(r"\$\.prefetch\.([^.\[]+)")


@dataclass(slots=True)
class LogEntry:
    """What is known about the request so far; one object a request."""

    elapsed: Stopwatch
    service: str | None = None
    hook: str | None = None
    outcome: str | None = None
    problem: str | None = None
    where: str | None = None
    client: str | None = None  # the id of its registration, also if its token was refused
    refused: str | None = None
    facts: dict[str, int | str] = field(default_factory=dict)

    def tell(self, outcome: Outcome) -> None:
        """Note what came of a hook call."""
        answers = [decision.answer for decision in outcome.decisions]
        shown = answers.count("card")
        self.outcome = "cards" if shown else "no-cards"
        self.facts |= {
            "results": len(outcome.record.results),
            "set_aside": len(outcome.record.set_aside),
            "rules_true": shown,
            "rules_unknown": answers.count("not enough data"),
            "cards": shown,
            "pack": outcome.pack.id,
            "pack_version": outcome.pack.version,
        }

    def fail(self, error: CdsServiceError) -> None:
        """Note why the request is refused, and the JSON path in the answer."""
        self.problem = type(error).__name__
        where: str | None = getattr(error, "where", None)
        if where is not None:
            self.where = _OF_A_KEY.sub(_known, where)


def _known(match: re.Match[str]) -> str:
    """The path of a prefetch key: a name that nobody knows is the client's own text."""
    return match[0] if kinds_of_key(match[1]) else "$.prefetch[...]"


def fields_of(entry: LogEntry) -> dict[str, object]:
    """The fields of a request's log line, except its outcome."""
    return {
        "service": entry.service,
        "hook": entry.hook,
        "problem": entry.problem,
        "where": entry.where,
        "client": entry.client,
        "refused": entry.refused,
        **entry.facts,
    }


def close(entry: LogEntry, status: int, metrics: Metrics) -> None:
    """Log the request and count it."""
    milliseconds = round(entry.elapsed(), 2)
    outcome = entry.outcome or ("answered" if status < 400 else "refused")
    log_request(outcome=outcome, status=status, ms=milliseconds, **fields_of(entry))
    service = entry.service or _NONE
    metrics.requests.of(service, entry.hook or _NONE, outcome).inc()
    metrics.request_seconds.of(service).observe(milliseconds / 1000)
    if status >= 400:
        metrics.errors.of(service, str(status)).inc()


def count(outcome: Outcome, metrics: Metrics) -> None:
    """Count the answers of the rules, the cards, and the results that were set aside."""
    answers: list[tuple[str, str]] = []
    for decision in outcome.decisions:
        rule, because = decision.rule.id, decision.because
        answers.append((rule, _ANSWERS[decision.answer]))
        if decision.answer == "card":
            metrics.cards.of(rule, decision.indicator).inc()
        elif isinstance(because, _HELD_BACK):
            metrics.cards_held_back.of(rule, because.code).inc()
    metrics.decisions.add(answers)
    metrics.results_used.inc(len(outcome.record.results))
    known = (
        (item.marker if item.marker in outcome.pack.markers else _NONE, item.reason)
        for item in outcome.record.set_aside
    )
    for labels, times in Counter(known).items():
        metrics.results_set_aside.of(*labels).inc(times)
