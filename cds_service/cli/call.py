# SPDX-License-Identifier: Apache-2.0
"""`cds-service call`: send one hook request as a client does, and print the result."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from cds_service.cli.authorities import ca_file_option
from cds_service.cli.called_service import (
    CallAnswer,
    called,
    hook_address,
    sends_in_the_clear,
)
from cds_service.cli.card_text import cards_as_text
from cds_service.cli.client_keys import ClientKey, client_key
from cds_service.cli.client_tokens import called_base, registered_client, signed_token
from cds_service.cli.clients import PRIVATE_KEY, token_faults
from cds_service.cli.printable import printable
from cds_service.clock import Deadline, stopwatch, system_clock
from cds_service.settings import Settings, load_settings, no_color
from cds_service.trust.clients import Client, Registrations

_SECONDS: Final = 120  # how long the token of a call lives
_REFUSED, _NO_ANSWER = 1, 3
_FAILED: Final = 500
_LEAST: Final = 0.5  # milliseconds: below it nothing was asked


@click.command()
@click.argument("request_file", metavar="REQUEST", type=click.File("rb"))
@click.option("--client", "name", help="Sign as this client of CDS_CLIENTS [default: no token].")
@click.option("--key", type=PRIVATE_KEY, help="The client's private key: a JSON Web Key, or PEM.")
@click.option("--kid", help="Its name, where the file has none or several keys.")
@click.option("--tenant", help="The tenant [default: the first that is registered, if any].")
@click.option("--url", help="The service, or one hook of it [default: that of the settings].")
@click.option("--service", help="The id of the service [default: the one that takes the hook].")
@ca_file_option
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=10.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON: the answer, and what it took.")
def call(  # noqa: PLR0913, PLR0917 - one option each
    request_file: BinaryIO,
    name: str | None,
    key: Path | None,
    kid: str | None,
    tenant: str | None,
    url: str | None,
    service: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Send REQUEST, a hook request in a file or - for standard input, and show the cards.

    With --client the call is signed as that client's EHR would sign it: in development with the
    test key of this machine (`clients test-key`), else with the private key of --key. The token is
    for the address that is called; it is never shown. A refusal is shown in words with what to do.

    \b
    Examples:
      cds-service demo --request | cds-service call -
      cds-service call --client first-ehr request.json
      cds-service call --client general-hospital --key private.pem --url https://cds.example.org -

    Exit codes: 0 answered, with or without cards; 1 refused; 2 wrong use or settings; 3 no answer
    in time, or the service failed.
    """
    settings = load_settings()
    body = request_file.read()
    base = (url or called_base(settings)).rstrip("/")
    signer = _Signer(settings, name, key, kid, tenant)
    if name is not None and sends_in_the_clear(base):
        raise click.UsageError("a token goes by https, or to this machine, and nowhere else")
    deadline = Deadline(timeout)
    try:
        discovering = stopwatch()
        address = hook_address(base, _hook_of(body), service, signer.headers, deadline)
        discovery = round(discovering(), 1)
        answer = called(address, body, signer.headers(address), deadline)
    except KeyError as fitting:
        if not _hook_of(body):
            raise click.UsageError(
                "REQUEST is no JSON object that names its hook; --service sends it as it is"
            ) from None
        ids = ", ".join(map(printable, fitting.args)) or "none"
        raise click.UsageError(
            f"not exactly one service takes the hook of the request: {ids}; use --service"
        ) from None
    if as_json:
        click.echo(json.dumps(_as_json(answer, discovery), indent=2))
    else:
        _show(answer, len(body), discovery, signer)
    if answer.cards is None:
        sys.exit(_NO_ANSWER if answer.status >= _FAILED else _REFUSED)


class _Signer:
    """Signs for one client, or for none."""

    def __init__(
        self,
        settings: Settings,
        name: str | None,
        file: Path | None,
        kid: str | None,
        tenant: str | None,
    ) -> None:
        if name is None and (file, kid, tenant) != (None, None, None):
            raise click.UsageError("--key, --kid and --tenant go with --client")
        self.settings = settings
        self.tenant = tenant
        self.client: Client | None = None if name is None else registered_client(settings, name)
        self.key: ClientKey | None = (
            None if self.client is None else client_key(self.client, file, settings, kid)
        )
        self._last = ""

    def headers(self, url: str) -> Mapping[str, str]:
        """The header that proves who calls this address; every call has a token of its own."""
        if self.client is None or self.key is None:
            return {}
        now = system_clock()
        self._last = signed_token(self.client, self.key, url, now, self.tenant, _SECONDS)
        return {"Authorization": f"Bearer {self._last}"}

    def faults(self, url: str) -> Iterator[str]:
        """What the registration of this machine has against the last token."""
        if self.client is None:
            return
        alone = Registrations(clients=(self.client,))
        for reason, message in token_faults(self._last, alone, self.settings, url):
            yield f"{reason}: {printable(message)}"


def _hook_of(body: bytes) -> str:
    """The hook that the request names; empty if it cannot be read or names none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    hook = document.get("hook") if isinstance(document, dict) else None
    return hook if isinstance(hook, str) else ""


def _as_json(answer: CallAnswer, discovery: float) -> dict[str, Any]:
    return {
        "url": answer.url,
        "status": answer.status,
        "milliseconds": answer.milliseconds,
        "discoveryMilliseconds": discovery,
        "bytes": answer.size,
        **({} if answer.cards is not None else {"meaning": answer.meaning}),
        **({"wwwAuthenticate": answer.challenge} if answer.challenge else {}),
        **({"retryAfter": answer.retry_after} if answer.retry_after else {}),
        "answer": answer.body,
    }


def _show(answer: CallAnswer, sent: int, discovery: float, signer: _Signer) -> None:
    who = "without a token" if signer.client is None else f"signed as {signer.client.id}"
    click.echo(f"POST {answer.url}, {who}, {sent} bytes")
    before = f"; discovery took {discovery} ms before it" if discovery >= _LEAST else ""
    click.echo(f"{answer.status} in {answer.milliseconds} ms, {answer.size} bytes{before}\n")
    colour = False if no_color() else None  # None: click looks whether this is a terminal
    if answer.cards is not None:
        for line in cards_as_text(answer.cards, click.style):
            click.echo(line, color=colour)
        if not answer.cards:
            click.echo("One that this patient was shown lately is quiet; send another patient.")
        return
    click.echo(f"Refused: {answer.problem or 'the answer does not say why.'}")
    if answer.challenge:
        click.echo(f"  WWW-Authenticate: {answer.challenge} (a signed token is needed)")
    if answer.retry_after:
        click.echo(f"  Retry-After: {answer.retry_after} seconds")
    click.echo(answer.meaning)
    if answer.status == 401:
        _explain_token(answer, signer)


def _explain_token(answer: CallAnswer, signer: _Signer) -> None:
    """Say what this machine's registration has against the token, which the service does not."""
    if signer.client is None:
        click.echo("No token was sent: name a registered client with --client.")
        return
    faults = list(signer.faults(answer.url))
    for fault in faults:
        click.echo(f"  by the registration here: {fault}")
    public = signer.settings.public_url
    if public is not None and not answer.url.startswith(f"{public.rstrip('/')}/"):
        click.echo(
            f"  CDS_PUBLIC_URL is {public} here: a service with these settings takes tokens for "
            "that\n  address alone, by whatever other name it is reached."
        )
    elif not faults:
        click.echo(
            "  By the registration and the settings here the token is right. So the service has "
            "another\n  registration or another CDS_PUBLIC_URL, or its clock differs."
        )
