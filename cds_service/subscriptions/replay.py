# SPDX-License-Identifier: Apache-2.0
"""A decision of the past, derived again from what was kept, and compared with what it was then."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from msgspec.json import decode, encode
from sqlalchemy import select

from cds_service.service import Knowledge
from cds_service.store.store import Transactions
from cds_service.store.tables import decisions
from cds_service.subscriptions.judgement import INPUT, findings_of, outcomes_again, versions_of
from cds_service.subscriptions.patient_data import AnswerNotRecorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of it; `then` and `now` are findings by rule, those of rules that differ.

    `changed_packs` are the packs that mean something else by now. Where `is_gone`, what the
    decision was derived from was removed, so that nothing is derived again; where `is_unanswered`,
    it does not answer the queries that the packs have today.
    """

    number: int
    decided: datetime
    mode: str
    written: str
    problem: str
    findings: tuple[Mapping[str, Any], ...]
    changed_packs: tuple[str, ...] = ()
    is_gone: bool = False
    is_unanswered: bool = False
    then: Mapping[str, Any] = field(default_factory=dict)
    now: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        """Whether the same was decided."""
        return not self.then and not self.now and not self.is_gone and not self.is_unanswered


def replay(knowledge: Knowledge, database: Transactions, number: int) -> Replay | None:
    """The decision of this id derived again by the packs of today; `None` if there is none."""
    with database.reading() as connection:
        row = connection.execute(select(decisions).where(decisions.c.id == number)).first()
    if row is None:
        return None
    kept = Replay(
        number=number,
        decided=row.decided,
        mode=row.mode,
        written=row.written,
        problem=row.problem,
        findings=tuple(row.findings),
    )
    if not row.input:
        return replace(kept, is_gone=True)
    try:
        outcomes = outcomes_again(knowledge, INPUT.decode(zlib.decompress(row.input)))
    except AnswerNotRecorded:
        return replace(kept, is_unanswered=True)
    again: list[Any] = decode(
        encode([finding for each in outcomes for finding in findings_of(each)])
    )
    was = _by_rule(finding for finding in row.findings if "advice" not in finding)
    is_now = _by_rule(again)
    differ = {rule for rule in (*was, *is_now) if was.get(rule) != is_now.get(rule)}
    versions = versions_of(knowledge, outcomes)
    return replace(
        kept,
        changed_packs=tuple(
            name for name, version in row.packs.items() if versions.get(name) != version
        ),
        then={rule: findings for rule, findings in was.items() if rule in differ},
        now={rule: findings for rule, findings in is_now.items() if rule in differ},
    )


def _by_rule(findings: Any) -> dict[str, Any]:
    """Of a rule about what could not be used, which has several, they stand together."""
    found: dict[str, Any] = {}
    for finding in findings:
        found.setdefault(finding["rule"], []).append(finding)
    return found
