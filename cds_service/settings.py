# SPDX-License-Identifier: Apache-2.0
"""Every setting: its name, type, default and meaning.

Environment → `Settings`, or all problems at once. The only module that reads the environment.
A value never appears in a problem: it may be a secret.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    DirectoryPath,
    Field,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from cds_service.errors import SettingsError

PREFIX: Final = "CDS_"
# Kubernetes sets these in every pod that lives beside a Service named "cds-service".
FOREIGN_PREFIX: Final = "CDS_SERVICE_"

ExplainMode: TypeAlias = Literal["off", "on-request", "always"]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("expected an IANA time zone such as Europe/Vienna") from error
    return name


class Settings(BaseSettings):
    """What the operator decides. Made directly it reads no environment: see `load_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    profile: Literal["development", "production"] = Field(
        "production", description="Development allows what production must not, such as http."
    )
    cards: DirectoryPath | None = Field(
        None, description="The folder of card packs. Unset: the packs that come with the service."
    )
    site_time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="The IANA time zone of the site, for FHIR dates that name none."
    )
    host: Annotated[str, StringConstraints(min_length=1)] = Field(
        "127.0.0.1", description="The address to listen on."
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8000, description="The port to listen on; 0 takes any free one."
    )
    public_url: (
        Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None
    ) = Field(None, description="The address at which clients reach the service.")
    max_body_bytes: PositiveInt = Field(
        16 * 1024 * 1024, description="The longest request body that is read, in bytes."
    )
    max_entries: PositiveInt = Field(
        20_000, description="The most resources that are read from one request."
    )
    max_depth: PositiveInt = Field(64, description="The deepest nesting of JSON that is read.")
    names_fallback: bool = Field(
        True, description="Recognize a test by its name when the laboratory sent no known code."
    )
    lab_category_prefetch: bool = Field(
        False, description="Ask for all laboratory results, for sites whose tests have local codes."
    )
    explain: ExplainMode | None = Field(
        None,
        description="Attach to responses why each rule decided as it did. Unset: on request in "
        "development and in open mode, else off.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least serious message that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="One JSON object a line for machines, or text for people."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only arguments count, so that no test depends on the shell it runs in."""
        return (init_settings,)


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


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment, by default that of the process."""
    given = os.environ if environ is None else environ
    ours = {
        key: value
        for key, value in given.items()
        if key.startswith(PREFIX) and not key.startswith(FOREIGN_PREFIX) and value
    }
    problems = [_unknown(key) for key in sorted(ours) if _field(key) not in Settings.model_fields]
    source = EnvSettingsSource(Settings)
    source.env_vars = {key.lower(): value for key, value in ours.items()}
    try:
        settings = Settings(**source())
    except ValidationError as error:
        problems += _in_words(error)
        raise SettingsError(problems) from None  # the cause would print the values
    if problems:
        raise SettingsError(problems)
    return settings


def environment_with(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process with some variables changed, for a program it starts."""
    return {**os.environ, **changes}


def no_color() -> bool:
    """Whether the user asked all programs for plain text (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def is_open(settings: Settings) -> bool:
    """Whether the service runs in open mode: for this machine alone, without authentication."""
    return settings.public_url is None and is_loopback(settings.host)


def is_loopback(host: str) -> bool:
    """Whether an address or name (without a port) means this machine and nothing else."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def explain_mode(settings: Settings) -> ExplainMode:
    """When a response says why: as set, else on request where nothing leaves the machine."""
    if settings.explain is not None:
        return settings.explain
    return "on-request" if settings.profile == "development" or is_open(settings) else "off"


def cards_folder(settings: Settings) -> Path:
    """The folder of card packs: the configured one, or the one that came with the service."""
    if settings.cards is not None:
        return settings.cards
    package = Path(__file__).parent
    in_wheel = package / "_cards"
    return in_wheel if in_wheel.is_dir() else package.parent / "cards"


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
    """`docs/reference/settings.md`."""
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
            "an empty value. This page is written by `python -m cds_service.settings`.",
            "",
            "| variable | type | default | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _field(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower()


def _unknown(variable: str) -> str:
    near = get_close_matches(_field(variable), Settings.model_fields, n=1)
    hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
    return f"{variable}: there is no such setting{hint}"


def _in_words(error: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_input=False, include_context=False, include_url=False)
    ]


def _type_in_words(annotation: object) -> str:
    choices = get_args(annotation)
    if choices[1:] == (type(None),):  # an optional setting has the type that it has when set
        choices = get_args(choices[0])
    if choices and all(isinstance(each, str) for each in choices):
        return " or ".join(f"`{each}`" for each in choices)
    for word, name in (("Path", "folder"), ("bool", "yes or no"), ("int", "whole number")):
        if re.search(rf"\b{word}\b", str(annotation)):
            return name
    return "text"


def _value_in_words(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, SecretStr):
        return "***"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.stdout.write(settings_page())
