# SPDX-License-Identifier: Apache-2.0
"""`cds-service evaluate`: the cards for a file of FHIR resources, without a server."""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from cds_service.cli.as_of_option import time_of
from cds_service.cli.card_text import cards_as_text
from cds_service.clock import system_clock
from cds_service.errors import RequestError
from cds_service.hooks.response import EXPLANATION_EXTENSION, write_response
from cds_service.intake.as_of import as_of
from cds_service.intake.patient_input import PatientInput
from cds_service.reports.observations import as_bundle
from cds_service.reports.read import is_exact, read_report
from cds_service.reports.signatures import is_paged
from cds_service.sandbox.diagnostics import faults
from cds_service.service import Knowledge, answer_input, load_knowledge
from cds_service.settings import load_settings, no_color
from cds_service.sources.file import inputs_from_document, read_resources

_VALUE_WIDTH = 18
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_NO_JSON = (
    "Expected FHIR or a hook request as JSON, or HL7 v2. A table is evaluated with --columns; "
    "`cds-service read` shows what it holds."
)


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--service", "service_id", help="Which service answers [default: all of the hook].")
@click.option(
    "--as-of",
    "moment",
    metavar="DAY|INSTANT",
    help="As the end of this day in CDS_SITE_TIME_ZONE, or this instant, knew it [now].",
)
@click.option(
    "--columns",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="FILE is a table, and this one says what its columns are (`read --write-columns`).",
)
@click.option("--json", "as_json", is_flag=True, help="JSON: one object a patient and service.")
@click.option("--explain", "explained", is_flag=True, help="Also why each rule decided as it did.")
@click.option("--strict", is_flag=True, help="Also what is not valid FHIR (R4B models).")
def evaluate(
    file: BinaryIO,
    service_id: str | None,
    moment: str | None,
    columns: Path | None,
    as_json: bool,
    explained: bool,
    strict: bool,
) -> None:
    """Show the cards for FHIR resources, a hook request or HL7 v2 results.

    FILE is a Bundle, one resource, NDJSON, a request, messages (ORU), or with --columns a table;
    it may be - for standard input. Several patients in one file are answered one by one.
    Lists that the file does not hold are not known, which is not the same as empty.
    With --as-of, what was issued, ordered or recorded later is not there yet.

    \b
    Examples:
      cds-service evaluate bundle.json
      cds-service demo --request | cds-service evaluate - --explain
      cds-service evaluate results.ndjson --json
      cds-service evaluate results.hl7
      cds-service evaluate results.csv --columns laboratory.yaml
      cds-service evaluate results.ndjson --as-of 2026-03-05

    Exit codes: 0 evaluated; 1 the file cannot be read, or --strict found something.
    """
    data = _as_fhir(file.read(), columns)
    document = read_resources(data)
    knowledge = load_knowledge(load_settings())
    asked = document.request.hook if document.request is not None else None
    services = _services(knowledge, service_id, asked)
    now = system_clock() if moment is None else time_of(moment, knowledge.zone)
    inputs = inputs_from_document(document)
    if moment is not None:
        inputs = tuple(as_of(of_patient, now, knowledge.zone) for of_patient in inputs)
    answers = [
        _answer(knowledge, service, hook, of_patient, now, explained=explained or not as_json)
        for of_patient in inputs
        for service, hook in services
    ]
    invalid = list(faults(data)) if strict else []
    if as_json:
        checked = {"invalid": invalid} if strict else {}
        click.echo(json.dumps({"patients": answers, **checked}, indent=2, default=str))
    else:
        colour = False if no_color() else None
        for answer in answers:
            for line in _as_text(answer, explained=explained):
                click.echo(line, color=colour)
        for line in invalid:
            click.echo(f"not valid FHIR: {line}", color=colour)
    if invalid:
        sys.exit(1)


def _as_fhir(data: bytes, columns: Path | None) -> bytes:
    """The file, or the resources that its report comes to; raises `RequestError`."""
    if is_paged(data):
        raise RequestError(
            "Expected FHIR or HL7 v2. What a PDF or picture says has to be seen first: "
            "cds-service read FILE."
        )
    if columns is not None or is_exact(data):
        return as_bundle(read_report(data, columns))
    if data.lstrip(_BEFORE_JSON)[:1] not in {b"{", b"["}:
        raise RequestError(_NO_JSON)
    return data


def _services(
    knowledge: Knowledge, service_id: str | None, hook: str | None
) -> list[tuple[str, str]]:
    """The service of this id, or all that answer the hook, each with the hook.

    The hook is that of the request if a service answers it, else that of the first service.
    """
    offered = [(name, answered) for name, hooks in knowledge.services.items() for answered in hooks]
    if service_id is None:
        wanted = hook if hook in {answered for _, answered in offered} else offered[0][1]
        return [(name, answered) for name, answered in offered if answered == wanted]
    if service_id not in knowledge.services:
        known = ", ".join(knowledge.services)
        raise click.BadParameter(
            f"there is no such service; known: {known}", param_hint="--service"
        )
    own = [(name, answered) for name, answered in offered if name == service_id]
    return [pair for pair in own if pair[1] == hook] or own[:1]


def _answer(
    knowledge: Knowledge,
    service: str,
    hook: str,
    patient_input: PatientInput,
    now: datetime,
    *,
    explained: bool,
) -> dict[str, Any]:
    """The cards for one patient as JSON-able data, with the explanation if asked for."""
    answer = answer_input(knowledge, patient_input, service, hook, now)
    response = json.loads(write_response(answer.response))
    shown: dict[str, Any] = {
        "patient": answer.outcome.record.patient.reference,
        "service": service,
        "cards": response["cards"],
    }
    if explained:
        shown["explanation"] = response["extension"][EXPLANATION_EXTENSION]
    return shown


def _as_text(answer: Mapping[str, Any], *, explained: bool) -> Iterator[str]:
    """The results used, the cards, and with `explained` every decision, line by line."""
    explanation = answer["explanation"]
    yield click.style(f"{answer['patient'] or 'Patient'} - {answer['service']}", bold=True)
    for result in _results(explanation):
        limit = result.get("upperLimit")
        against = f"limit {limit['shown']} from {limit['from']}" if limit else "no limit"
        grade = result.get("grade", "")
        value = f"{result['sent']:<{_VALUE_WIDTH}}"
        yield f"  {result['marker']:<18} {value} {result['time'][:16]}  {against}  {grade}".rstrip()
    for item in explanation.get("setAside", []):
        name = item.get("marker") or item.get("code", "")
        yield f"  {name:<18} {'(not used)':<{_VALUE_WIDTH}} {item['reason']}"
    yield ""
    yield from cards_as_text(answer["cards"], click.style)
    if explained:
        yield from _decisions(explanation)


def _results(explanation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Each result once, though it may stand in several frames."""
    seen: set[tuple[str, str]] = set()
    for frame in explanation.get("frames", []):
        for result in frame.get("results", []):
            key = (result["marker"], result["time"])
            if key not in seen:
                seen.add(key)
                yield result


def _decisions(explanation: Mapping[str, Any]) -> Iterator[str]:
    yield click.style("Why", bold=True)
    for frame in explanation.get("frames", []):
        for measure in frame.get("measures", []):
            value = measure.get("value")
            shown = measure.get("because") if value is None else f"{value:.4g}"
            yield f"  {measure['measure']:<36} {shown} {measure.get('called', '')}".rstrip()
    for decision in explanation["rules"]:
        reasons = [decision.get("because", ""), *decision.get("missing", [])]
        why = "; ".join(reason for reason in reasons if reason)
        yield f"  {decision['rule']:<36} {decision['answer']:<16} {why}".rstrip()
        for order in decision.get("withheld", []):
            yield f"  {'':<36} without {order['order']}: {order['because']}"
