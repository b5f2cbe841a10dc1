# SPDX-License-Identifier: Apache-2.0
"""`cds-service settings`: every setting, where its value comes from, and what it means."""

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

import click
from pydantic import SecretStr

from cds_service.settings import FOREIGN_PREFIX, PREFIX, Settings, load_settings

_TYPES: Final = {  # pydantic tells folders from files only in the middle of an annotation
    r"path_type='dir'": "folder",
    r"\bPath\b": "file",
    r"\bbool\b": "yes or no",
    r"\bint\b": "whole number",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--page", "as_page", is_flag=True, help="The reference page, with the defaults.")
def settings(as_json: bool, as_page: bool) -> None:
    """Show every setting, its value and where that came from.

    \b
    Examples:
      cds-service settings
      CDS_SITE_TIME_ZONE=Europe/Vienna cds-service settings --json
      cds-service settings --page > docs/reference/settings.md
    """
    if as_page:
        click.echo(settings_page(), nl=False)
        return
    described = describe(load_settings())
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in described], indent=2))
        return
    width = max(len(each.variable) for each in described)
    for each in described:
        mark = "*" if each.source == "environment" else " "
        click.echo(f"{mark} {each.variable:<{width}}  {each.value:<12}  {each.meaning}")
    click.echo("* set in the environment; the others have their default", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDescription:
    """One setting, for people."""

    name: str
    variable: str
    type: str
    default: str
    meaning: str
    value: str
    source: Literal["environment", "default"]


def describe(settings: Settings) -> tuple[SettingDescription, ...]:
    """Every setting with its present value and where that came from; secrets are starred."""
    return tuple(
        SettingDescription(
            name=name,
            variable=PREFIX + name.upper(),
            type=_type_in_words(field.annotation),
            default=_value_in_words(field.default),
            meaning=field.description or "",
            value=_value_in_words(getattr(settings, name)),
            source="environment" if name in settings.model_fields_set else "default",
        )
        for name, field in Settings.model_fields.items()
    )


def settings_page() -> str:
    """`docs/reference/settings.md`: every setting with its default."""
    rows = [
        f"| `{each.variable}` | {each.type} | {each.default} | {each.meaning} |"
        for each in describe(Settings())
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "All settings are environment variables. A wrong value, or a name that begins with",
            f"`{PREFIX}` and is not listed here, stops the start with every problem at once.",
            f"Names that begin with `{FOREIGN_PREFIX}` are Kubernetes' own and are ignored; so is",
            "an empty value. This page is written by `cds-service settings --page`.",
            "",
            "| variable | type | default | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _type_in_words(annotation: object) -> str:
    choices = get_args(annotation)
    if choices[1:] == (type(None),):  # an optional setting has the type that it has when set
        choices = get_args(choices[0])
    if choices and all(isinstance(each, str) for each in choices):
        return " or ".join(f"`{each}`" for each in choices)
    for pattern, name in _TYPES.items():
        if re.search(pattern, str(annotation)):
            return name
    return "text"


def _value_in_words(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, SecretStr):
        return "***"
    return str(value).lower() if isinstance(value, bool) else str(value)
