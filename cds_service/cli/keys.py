# SPDX-License-Identifier: Apache-2.0
"""`cds-service keys`: the service's own signing keys, and how they change."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cds_service.clock import system_clock
from cds_service.iso_times import moment_of
from cds_service.settings import load_settings
from cds_service.smart.key_rotation import Needed, add_key, retire_key
from cds_service.smart.signing_keys import ALGORITHMS, SigningKey, SigningKeys, read_signing_keys


@click.group()
def keys() -> None:
    """The keys by which FHIR servers know the service (SMART Backend Services).

    They stand in the file of CDS_SIGNING_KEYS; the service publishes their public half at
    /jwks.json. A new key is published a day before it signs, and an old one stays until it is
    retired, so that no server meets a key that it does not know.

    \b
    To change a key:
      cds-service keys new            now
      cds-service keys list           a day later: the new one signs
      cds-service keys retire KID     the old one
    """


@keys.command()
@click.option(
    "--algorithm", type=click.Choice(["ES384", "RS384"]), default="ES384", show_default=True
)
@click.option(
    "--signs-from",
    metavar="TIME",
    help="'now', or a time with its zone [default: in a day; the first of its kind at once].",
)
@click.option("--json", "as_json", is_flag=True, help="JSON: the public key.")
def new(algorithm: str, signs_from: str | None, as_json: bool) -> None:
    """Make a key, and the file if there is none.

    \b
    Examples:
      CDS_SIGNING_KEYS=/etc/cds-service/keys.json cds-service keys new
      cds-service keys new --algorithm RS384 --signs-from now

    Exit codes: 0 made; 2 the file has problems.
    """
    now = system_clock()
    signing_algorithm = next(name for name in ALGORITHMS if name == algorithm)
    key = add_key(_path(), signing_algorithm, now, _time(signs_from, now))
    if as_json:
        click.echo(json.dumps(dict(key.public)))
        return
    begins = f"{key.signs_from.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    descriptions = {
        "signs": "signs now",
        "waits": f"signs from {begins}",
        "replaced": "signs nothing: another key began later",
    }
    keys_of_file = read_signing_keys(_path())
    state = next(keys_of_file.state(k, now) for k in keys_of_file.keys if k.kid == key.kid)
    click.echo(f"{key.kid} {descriptions[state]}; it is published at /jwks.json")


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def list_(as_json: bool) -> None:
    """Show every key: what it is for, and since when; never its private half.

    \b
    Example:
      cds-service keys list --json

    Exit codes: 0 fine; 2 the file has problems.
    """
    now, keys_of_file = system_clock(), read_signing_keys(_path())
    rows = [_described(key, keys_of_file, now) for key in keys_of_file.keys]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        since = f" from {row['signsFrom']}" if row["state"] == "waits" else ""
        click.echo(f"{row['kid']}  {row['algorithm']}  {row['state']}{since}")


@keys.command()
@click.argument("kid")
@click.option("--anyway", is_flag=True, help="Also the only key that signs.")
def retire(kid: str, anyway: bool) -> None:
    """Take a key out of the file: it signs nothing more and is published no more.

    \b
    Example:
      cds-service keys retire es384-2026-11-25-1a2b3c4d

    Exit codes: 0 retired; 1 no other key signs in its place; 2 there is no such key.
    """
    try:
        retire_key(_path(), kid, system_clock(), anyway=anyway)
    except KeyError:
        raise click.BadParameter(
            "there is no such key; see 'keys list'", param_hint="KID"
        ) from None
    except Needed as error:
        click.echo(f"cds-service: {error}; --anyway retires it all the same", err=True)
        sys.exit(1)
    click.echo(f"{kid} is retired")


def _path() -> Path:

    path = load_settings().signing_keys
    if path is None:
        raise click.UsageError("set CDS_SIGNING_KEYS to the file of the keys")
    return path


def _time(written: str | None, now: datetime) -> datetime | None:
    if written in {None, "now"}:
        return None if written is None else now
    try:
        time = moment_of(str(written))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise click.BadParameter(
            "write 'now', or a time with its zone: 2026-11-25T12:00:00Z", param_hint="--signs-from"
        )
    return time


def _described(key: "SigningKey", among: "SigningKeys", now: datetime) -> dict[str, Any]:
    always = key.signs_from.year == 1
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": among.state(key, now),
        **({} if always else {"signsFrom": key.signs_from.isoformat(timespec="seconds")}),
    }
