# SPDX-License-Identifier: Apache-2.0
"""`cds-service sandbox`: the cards for patients of a FHIR server, as a CDS Client gets them."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from cds_service.cli.card_text import Style, cards_as_text
from cds_service.cli.printable import printable, printable_in
from cds_service.clock import Deadline
from cds_service.errors import CdsServiceError, RequestError
from cds_service.fhir_client.client import Access, FhirClient
from cds_service.sandbox.fetch import open_access
from cds_service.sandbox.patient_search import PatientMatch, PatientMatches, find_people, is_id
from cds_service.sandbox.runner import PatientRun, SandboxRunner, open_runners, servers_for
from cds_service.sandbox.server_check import refuse_other_servers
from cds_service.settings import Settings, load_settings, no_color

_MOST = 1000
_INDICATORS = ("critical", "warning", "info")
_SUMMARY_WIDTH = 60


@click.command()
@click.option("--fhir", "base", required=True, help="Base URL of a FHIR R4 server without a token.")
@click.option("--patient", help="The id of the patient.")
@click.option("--search", help="The patient of this name or id; several are listed.")
@click.option("--all", "count", type=click.IntRange(1, _MOST), help="The first N patients.")
@click.option(
    "--service", "service_id", help="Which service answers [default: all of the first hook]."
)
@click.option("--url", help="A running service to call [default: the packs of this machine].")
@click.option("--json", "as_json", is_flag=True, help="JSON: one object a patient and service.")
def sandbox(
    base: str,
    patient: str | None,
    search: str | None,
    count: int | None,
    service_id: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show the cards for patients of a FHIR server.

    Asks the server what the service wants to know (its prefetch templates), calls the service with
    it and prints the cards. The service is the one at --url, or the packs of this machine. What
    the server does not give is left out and named.

    \b
    Examples:
      cds-service sandbox --fhir https://r4.smarthealthit.org --search Smith
      cds-service sandbox --fhir http://127.0.0.1:8080/fhir --patient 1
      cds-service sandbox --fhir http://127.0.0.1:8080/fhir --all 20
      cds-service sandbox --fhir ... --patient 1 --url http://127.0.0.1:8000 --json

    Any server may be named. Where CDS_FHIR_SERVERS is set, only its servers with 'anonymous: yes',
    unless CDS_PROFILE=development.

    Exit codes: 0 answered, 1 no such patient or one without an answer, 2 wrong use, 3 a server
    failed.
    """
    if sum(choice is not None for choice in (patient, search, count)) != 1:
        raise click.UsageError("name the patients by one of --patient, --search and --all")
    settings = load_settings()
    access, client = _fhir(settings, base, count or 1)
    colour = False if no_color() else None  # None: click looks whether this is a terminal
    found = _people(client, access, settings, patient=patient, search=search, count=count)
    people = found.people
    if search is not None and (len(people) > 1 or found.ignores_name):
        _list(found, as_json=as_json, colour=colour)
        return
    runners = open_runners(settings, client, access, url=url, service_id=service_id)
    tried = _tried(runners, people, shows_progress=count is not None)
    if as_json:
        click.echo(json.dumps({"patients": [run.as_json() for run in tried]}, indent=2))
    else:
        lines = (
            _table(tried, click.style)
            if count is not None
            else (line for run in tried for line in _cards(run, click.style))
        )
        for line in lines:
            click.echo(line, color=colour)
    if any(run.refused for run in tried):
        sys.exit(1)


def _fhir(settings: Settings, base: str, count: int) -> tuple[Access, FhirClient]:

    client = FhirClient(
        most_bytes=settings.max_body_bytes,
        most_pages=max(settings.fhir_max_pages, count // 10 + 1),
        patience=settings.sandbox_seconds,
    )
    return open_access(servers_for(settings), base), client


def _people(
    client: FhirClient,
    access: Access,
    settings: Settings,
    *,
    patient: str | None,
    search: str | None,
    count: int | None,
) -> PatientMatches:
    """Whose cards to show; raises an error that says why there is nobody."""
    if patient is not None:
        if not is_id(patient):
            raise click.BadParameter("expected the id of a patient", param_hint="--patient")
        return PatientMatches(people=(PatientMatch(id=patient, name=""),), more=False, queries=())
    deadline = Deadline(settings.sandbox_seconds)
    found = find_people(client, access, search or "", deadline, most=count or 20)
    if found.failure:
        refuse_other_servers(client, access, Deadline(settings.sandbox_seconds))
    _refuse_failure(found)
    if not found.people:
        raise RequestError("The FHIR server has no such patient.")
    return found


def _refuse_failure(matches: PatientMatches) -> None:

    if matches.failure:
        raise CdsServiceError(f"The FHIR server gave no list of patients: {matches.failure}.")


def _tried(
    runners: Sequence[SandboxRunner], people: Sequence[PatientMatch], *, shows_progress: bool
) -> list[PatientRun]:
    if not shows_progress:
        return [runner.patient(person.id, person.name) for person in people for runner in runners]
    found: list[PatientRun] = []
    with click.progressbar(people, label="Patients", file=sys.stderr, show_pos=True) as bar:
        for person in bar:
            found.extend(runner.any_patient(person.id, person.name) for runner in runners)
    return found


def _list(matches: PatientMatches, *, as_json: bool, colour: bool | None) -> None:
    """Everyone who was found; nobody is picked."""
    people = matches.people
    if as_json:
        listed = [
            {"id": person.id, "name": person.name, "birthDate": person.born, "gender": person.sex}
            for person in people
        ]
        click.echo(json.dumps({"matches": listed}, indent=2))
        return
    width = max(len(person.id) for person in people)
    for person in people:
        line = f"{person.id:<{width}}  {person.born:<10}  {person.sex:<7}  {person.name}"
        click.echo(printable(line), color=colour)
    if matches.more:
        click.echo("There are more.", err=True)
    problem = "The server ignored the name" if matches.ignores_name else "Several patients match"
    click.echo(f"{problem}; choose one with --patient ID.", err=True)


def _cards(run: PatientRun, style: Style) -> Iterator[str]:
    """The cards of one patient, and what could not be had for them."""
    name = f" {printable(run.name)}" if run.name else ""
    yield style(f"Patient/{run.patient}{name} - {run.service}", bold=True)
    for query in run.queries:
        if query.failure:
            yield f"  {query.key}: {query.because} ({query.failure})"
    yield ""
    if run.refused:
        yield f"The service refused the call: {printable(run.refused)}"
        return
    yield from cards_as_text(printable_in(run.cards), style)


def _table(tried: Sequence[PatientRun], style: Style) -> Iterator[str]:
    """A line for each patient, and the cards of all."""
    width = max([7, *(len(run.patient) for run in tried)])
    head = f"{'patient':<{width}}  {'critical':>8}  {'warning':>7}  {'info':>4}  first card"
    yield style(head, bold=True)
    for run in tried:
        numbers = _numbers(run.cards)
        first = run.refused or (str(run.cards[0]["summary"]) if run.cards else "")
        first = printable(first).replace("\n", " ")
        short = first if len(first) <= _SUMMARY_WIDTH else f"{first[: _SUMMARY_WIDTH - 1]}…"
        failed = sum(bool(query.failure) for query in run.queries)
        note = f"  ({failed} of {len(run.queries)} queries failed)" if failed else ""
        counts = f"{numbers[0] or '':>8}  {numbers[1] or '':>7}  {numbers[2] or '':>4}"
        yield f"{run.patient:<{width}}  {counts}  {short}{note}".rstrip()
    with_cards = sum(bool(run.cards) for run in tried)
    cards = sum(len(run.cards) for run in tried)
    yield f"patients: {len(tried)}, with cards: {with_cards}, cards: {cards}"


def _numbers(cards: Sequence[Mapping[str, Any]]) -> list[int]:
    return [sum(card["indicator"] == name for card in cards) for name in _INDICATORS]
