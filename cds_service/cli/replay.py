# SPDX-License-Identifier: Apache-2.0
"""`cds-service replay`: derive a decision again."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from cds_service.service import load_knowledge
from cds_service.settings import database_url, load_settings
from cds_service.store import open_store
from cds_service.subscriptions.decision_list import STATE_WORDS
from cds_service.subscriptions.replay import Replay
from cds_service.subscriptions.replay import replay as decide_again


@click.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def replay(number: int, as_json: bool) -> None:
    """Derive a decision on a result that arrived again, and compare.

    It is made from what was read then, by the packs as they are now. Neither a FHIR server is
    asked, nor anything written. No patient is shown.

    \b
    Examples:
      cds-service replay 42
      cds-service replay 42 --json

    What a decision was derived from is removed after CDS_DECISION_INPUT_DAYS; then it is only
    shown.

    Exit codes: 0 the same is decided; 1 something else is; 2 there is no such decision, what it was
    derived from was removed or does not answer the queries of today, or the settings have problems;
    3 the database cannot be used.
    """
    settings = load_settings()
    store = open_store(database_url(settings))
    try:
        found = decide_again(load_knowledge(settings), store.database, number)
    finally:
        store.close()
    if found is None:
        raise click.BadParameter("there is no decision with this id", param_hint="ID")
    if as_json:
        click.echo(json.dumps(_row(found), indent=2))
    else:
        _print(found)
    sys.exit(2 if found.is_gone or found.is_unanswered else 0 if found.is_same else 1)


def _row(found: Replay) -> dict[str, Any]:
    return {
        "id": found.number,
        "decided": found.decided.isoformat(timespec="seconds"),
        "mode": found.mode,
        "written": found.written,
        "problem": found.problem,
        "findings": [dict(finding) for finding in found.findings],
        "changedPacks": list(found.changed_packs),
        "inputRemoved": found.is_gone,
        "unanswered": found.is_unanswered,
        "same": found.is_same,
        "then": dict(found.then),
        "now": dict(found.now),
    }


def _print(found: Replay) -> None:
    decided = found.decided.isoformat(timespec="seconds")
    problem = f" ({found.problem})" if found.problem else ""
    click.echo(f"{found.number}  {decided}  {found.mode}, written: {found.written}{problem}")
    for finding in found.findings:
        text = (
            _advice(finding)
            if "advice" in finding
            else finding.get("because") or finding.get("indicator", "")
        )
        click.echo(f"  {finding['rule']:<32} {text}")
    if found.is_gone:
        click.echo("  what it was derived from was removed: it cannot be derived again")
        return
    if found.is_unanswered:
        click.echo("  what was read then does not answer the queries of today: no replay")
        return
    for name in found.changed_packs:
        click.echo(f"  the pack {name} means something else than then")
    if found.is_same:
        click.echo("  the same is decided again")
        return
    for rule in sorted({*found.then, *found.now}):
        before, after = (
            _in_words(findings_then_or_now.get(rule))
            for findings_then_or_now in (found.then, found.now)
        )
        click.echo(f"  {rule}: then {before}; now {after}")


def _advice(found: Mapping[str, Any]) -> str:
    state = STATE_WORDS.get(found["advice"], found["advice"])
    return f"{state}: {found['why']}" if "why" in found else state


def _in_words(findings: Any) -> str:
    if not findings:
        return "nothing"
    finding = findings[0]
    orders = ", ".join(order["order"] for order in finding.get("orders", ()))
    answer = (
        f"{finding['answer']}: {finding['indicator']}"
        if "indicator" in finding
        else str(finding["answer"])
    )
    because = f" because {finding['because']}" if "because" in finding else ""
    return f"{answer}{because}{f', orders {orders}' if orders else ''}"
