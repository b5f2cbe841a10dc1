# SPDX-License-Identifier: Apache-2.0
"""`cds-service feedback`: what clinicians did with the cards of each rule."""

from collections.abc import Iterator
from datetime import timedelta

import click
import msgspec

from cds_service.cli.card_text import Style
from cds_service.clock import system_clock
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.settings import cards_folder, database_url, load_settings, no_color
from cds_service.store import open_store
from cds_service.store.report import Report, RuleFeedback, report

_WIDTH = 40
_PARTS = (("accepted", "█", "green"), ("overridden", "▒", "yellow"), ("unanswered", "·", None))


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="JSON: every rule with its counts.")
@click.pass_context
def feedback(context: click.Context, as_json: bool) -> None:
    """Show acceptance and override reasons of every rule and version.

    Reads the database of CDS_DATABASE_URL. Comments are kept there and never shown here.

    \b
    Examples:
      cds-service feedback
      cds-service feedback --json
      cds-service feedback purge
    """
    if context.invoked_subcommand is not None:
        return

    settings = load_settings()
    packs = load_packs_at(cards_folder(settings), settings.site_file)
    store = open_store(database_url(settings))
    try:
        found = report(store, packs)
    finally:
        store.close()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    colour = False if no_color() else None
    for line in _as_text(found, click.style):
        click.echo(line, color=colour)


@feedback.command()
@click.option(
    "--days", type=click.IntRange(1), help="Keep this many days [default: CDS_FEEDBACK_DAYS, 365]."
)
def purge(days: int | None) -> None:
    """Remove feedback, and what is known of the cards, older than it is to be kept.

    The service does the same once a day.

    \b
    Examples:
      cds-service feedback purge
      cds-service feedback purge --days 30
    """
    settings = load_settings()
    kept = settings.feedback_days if days is None else days
    store = open_store(database_url(settings))
    try:
        removed = store.purge(before=system_clock() - timedelta(days=kept))
    finally:
        store.close()
    click.echo(f"Removed {removed} rows older than {kept} days.")


def _as_text(report: Report, style: Style) -> Iterator[str]:
    if not report.rules:
        yield "No card has been shown yet."
    for rule in report.rules:
        yield f"{style(rule.title, bold=True)}  {rule.rule} {rule.version}, {rule.shown} shown"
        yield f"  {_bar(rule, style)}"
        parts = (f"{getattr(rule, name)} {_words(name)}" for name, _, _ in _PARTS)
        yield "  " + ", ".join(parts)
        for reason in rule.reasons:
            share = "▒" * max(1, round(10 * reason.cards / max(1, rule.overridden)))
            yield f"    {reason.cards:>6}  {share:<10}  {reason.display}"
        yield ""
    if report.sandbox_cards:
        yield f"Shown in the sandbox, and not counted above: {report.sandbox_cards}"
    if report.unknown_cards:
        yield f"Feedback for cards that are not known: {report.unknown_cards}"


def _words(name: str) -> str:
    return "without feedback" if name == "unanswered" else name


def _bar(row: RuleFeedback, style: Style) -> str:
    """The three counts as parts of one bar; the widths always add up to the whole."""
    drawn, before = "", 0
    for name, sign, colour in _PARTS:
        after = before + getattr(row, name)
        width = round(_WIDTH * after / row.shown) - round(_WIDTH * before / row.shown)
        drawn += style(sign * width, fg=colour)
        before = after
    return drawn
