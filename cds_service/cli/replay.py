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


def _row(replay: Replay) -> dict[str, Any]:
    return {
        "id": replay.number,
        "decided": replay.decided.isoformat(timespec="seconds"),
        "mode": replay.mode,
        "written": replay.written,
        "problem": replay.problem,
        "findings": [dict(finding) for finding in replay.findings],
        "changedPacks": list(replay.changed_packs),
        "inputRemoved": replay.is_gone,
        "unanswered": replay.is_unanswered,
        "same": replay.is_same,
        "then": dict(replay.then),
        "now": dict(replay.now),
    }


def _print(replay: Replay) -> None:
    decided = replay.decided.isoformat(timespec="seconds")
    problem = f" ({replay.problem})" if replay.problem else ""
    click.echo(f"{replay.number}  {decided}  {replay.mode}, written: {replay.written}{problem}")
    for finding in replay.findings:
        text = (
            _advice(finding)
            if "advice" in finding
            else finding.get("because") or finding.get("indicator", "")
        )
        click.echo(f"  {finding['rule']:<32} {text}")
    if replay.is_gone:
        click.echo("  what it was derived from was removed: it cannot be derived again")
        return
    if replay.is_unanswered:
        click.echo("  what was read then does not answer the queries of today: no replay")
        return
    for name in replay.changed_packs:
        click.echo(f"  the pack {name} means something else than then")
    if replay.is_same:
        click.echo("  the same is decided again")
        return
    for rule in sorted({*replay.then, *replay.now}):
        before, after = _in_words(replay.then.get(rule)), _in_words(replay.now.get(rule))
        click.echo(f"  {rule}: then {before}; now {after}")


def _advice(finding: Mapping[str, Any]) -> str:
    state = STATE_WORDS.get(finding["advice"], finding["advice"])
    return f"{state}: {finding['why']}" if "why" in finding else state


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
