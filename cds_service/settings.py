# SPDX-License-Identifier: Apache-2.0
"""Every setting: its name, type, default and meaning.

Environment → `Settings`, or all problems at once. The only module that reads the environment.
A value never appears in a problem: it may be a secret.
"""

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    DirectoryPath,
    Field,
    FilePath,
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

from cds_service.arrival_settings import ArrivalSettings, LongSecret
from cds_service.errors import SettingsError
from cds_service.operating_settings import OperatingSettings
from cds_service.prefetch_keys import checked_key_pairs
from cds_service.trace_settings import TraceSettings

PREFIX: Final = "CDS_"
# Kubernetes sets these in every pod that lives beside a Service named "cds-service".
FOREIGN_PREFIX: Final = "CDS_SERVICE_"
_FILE: Final = "_FILE"  # CDS_HASH_KEY_FILE names the file that holds CDS_HASH_KEY

ExplainMode: TypeAlias = Literal["off", "on-request", "always"]
OutputProfile: TypeAlias = Literal["default", "epic"]
TokenSeconds: TypeAlias = Annotated[int, Field(ge=1, le=3600)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("expected an IANA time zone such as Europe/Vienna") from error
    return name


def _origins(text: str) -> str:
    if all(re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin) for origin in text.split()):
        return text
    raise ValueError("expected origins such as https://sandbox.cds-hooks.org")


def _database(url: SecretStr) -> SecretStr:
    if url.get_secret_value().startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
        return url
    raise ValueError("expected sqlite:////folder/file.db or postgresql+psycopg://host/database")


class Settings(ArrivalSettings, TraceSettings, OperatingSettings):
    """Operator settings. `Settings()` ignores the environment; `load_settings` reads it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    profile: Literal["development", "production"] = Field(
        "production", description="Development allows what production must not, such as http."
    )
    cards: DirectoryPath | None = Field(
        None, description="The folder of card packs. Unset: the packs that come with the service."
    )
    site_file: FilePath | None = Field(
        None, description="The site file: what this site decides otherwise than a pack."
    )
    site_time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="The IANA time zone of the site, for FHIR dates that name none."
    )
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")] = Field(
        "en", description="The language of cards; what a pack does not have in it is in English."
    )
    host: Annotated[str, StringConstraints(min_length=1)] = Field(
        "127.0.0.1", description="The address to listen on."
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8000, description="The port to listen on; 0 takes any free one."
    )
    tls_certificate: FilePath | None = Field(
        None, description="The certificate chain (PEM) for HTTPS without a proxy; TLS 1.2 or newer."
    )
    tls_key: FilePath | None = Field(None, description="The private key (PEM) of the certificate.")
    public_url: (
        Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None
    ) = Field(None, description="The address at which clients reach the service.")
    clients: FilePath | None = Field(
        None,
        description="The file of registered clients. Unset: open to this machine and no one else.",
    )
    fhir_servers: FilePath | None = Field(
        None,
        description="The file of FHIR servers that the service may ask. Unset: those of registered "
        "clients, for their own calls; in development any.",
    )
    sandbox: bool | None = Field(
        None,
        description="Show the pages /report and /sandbox, where data are tried out: given, or of "
        "open FHIR servers of CDS_FHIR_SERVERS, in development of any. Unset: in development, in "
        "open mode.",
    )
    sandbox_seconds: Annotated[int, Field(ge=1, le=60)] = Field(
        20, description="How long the sandbox waits for a FHIR server, in seconds."
    )
    signing_keys: Path | None = Field(
        None,
        description="The file of the service's own signing keys, for FHIR servers where it is "
        "registered; `cds-service keys new` makes it.",
    )
    fhir_max_pages: PositiveInt = Field(
        10, description="The most pages that are read of one search on a FHIR server."
    )
    trusted_proxies: Annotated[int, Field(ge=0, le=10)] = Field(
        0, description="How many proxies stand before the service and add X-Forwarded headers."
    )
    discovery: Literal["open", "protected"] = Field(
        "open", description="Whether the list of services needs a client's token as calls do."
    )
    token_max_seconds: TokenSeconds = Field(
        300,
        description="The longest time from now, in seconds, at which a client's token may end; a "
        "registered client can have its own.",
    )
    development_origins: Annotated[str, AfterValidator(_origins)] = Field(
        "",
        description="Web origins, separated by blanks, whose pages may call in development; in "
        "production each client's own are registered.",
    )
    max_body_bytes: PositiveInt = Field(
        16 * 1024 * 1024, description="The longest request body that is read, in bytes."
    )
    max_entries: PositiveInt = Field(
        20_000, description="The most resources that are read from one request."
    )
    max_depth: Annotated[int, Field(ge=16, le=500)] = Field(
        64, description="The deepest nesting of JSON that is read, in levels."
    )
    max_header_bytes: Annotated[int, Field(ge=8192, le=1024 * 1024)] = Field(
        32 * 1024, description="The longest address and headers that are read together, in bytes."
    )
    header_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        30,
        description="How long the headers of a request, or the next request on an open "
        "connection, are waited for; a proxy should keep idle connections for less.",
    )
    body_seconds: Annotated[int, Field(ge=1, le=600)] = Field(
        10, description="How long a request body may take to arrive, in seconds."
    )
    max_requests: PositiveInt = Field(
        2000, description="The most requests in progress in one process; one more gets 503."
    )
    max_waiting_bytes: PositiveInt = Field(
        256 * 1024 * 1024,
        description="The most bytes of unanswered bodies in one process; one more gets 503.",
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        4,
        description="How many requests one process works on at the same time, beside hook calls, "
        "which are answered one after the other unless another server may be asked.",
    )
    deadline_ms: PositiveInt = Field(
        4000,
        description="The longest time for a call, in milliseconds; after it the answer is 503, "
        "never a list without cards. Take about 80 % of what the clients wait.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_database)] | None = Field(
        None,
        description="Where feedback is kept: `sqlite:////folder/file.db` or "
        "`postgresql+psycopg://user:password@host/database`. Unset: the file cds-service.db in "
        "~/.local/state/cds-service, or under XDG_STATE_HOME.",
    )
    feedback_days: PositiveInt = Field(
        365, description="How many days feedback, and how many cards were shown, are kept."
    )
    feedback_page: bool | None = Field(
        None,
        description="Show acceptance and override reasons at /feedback. Unset: in development and "
        "in open mode only.",
    )
    silence_days: Annotated[int, Field(ge=0, le=365)] = Field(
        30,
        description="How many days an overridden card stays silent for the same patient and "
        "result; 0 never silences.",
    )
    hash_key: LongSecret | None = Field(
        None,
        description="The secret, of 32 or more characters, that hides patients in what is kept of "
        "overrides and of cards that were shown. Unset: no card is quiet; overrides silence in "
        "open mode only, by a key everybody knows.",
    )
    quiet: bool = Field(
        True,
        description="Do not show a card again within the days that its rule is `quiet for`; needs "
        "CDS_HASH_KEY.",
    )
    max_feedback_bytes: PositiveInt = Field(
        1024 * 1024, description="The longest feedback body that is read, in bytes."
    )
    max_feedback_items: PositiveInt = Field(
        1000, description="The most events that are read from one feedback body."
    )
    max_comment_length: PositiveInt = Field(
        4000, description="The longest comment in feedback, in characters."
    )
    names_fallback: bool = Field(
        True, description="Recognize a test by its name when the laboratory sent no known code."
    )
    lab_category_prefetch: bool = Field(
        False, description="Ask for all laboratory results, for sites whose tests have local codes."
    )
    output_profile: OutputProfile = Field(
        "default",
        description="The form of cards where no client is registered; a registered client has its "
        "own. Epic's has orders by the site's Epic codes only.",
    )
    prefetch_keys: Annotated[str, AfterValidator(checked_key_pairs)] = Field(
        "",
        description="Prefetch keys that clients call otherwise, as pairs `theirs=ours` separated "
        "by blanks; a registered client can have more of its own.",
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


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment, by default that of the process."""
    given = os.environ if environ is None else environ
    ours = {
        key: value
        for key, value in given.items()
        if key.startswith(PREFIX) and not key.startswith(FOREIGN_PREFIX) and value
    }
    problems = _read_secret_files(ours)
    problems += [_unknown(key) for key in sorted(ours) if _field(key) not in Settings.model_fields]
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


def environment_of(kept: Collection[str], changes: Mapping[str, str]) -> dict[str, str]:
    """The same, of the settings of this service only those `kept`: for a demonstration."""
    ours = {name for name in os.environ if name.startswith(PREFIX)} - set(kept)
    return {name: value for name, value in os.environ.items() if name not in ours} | dict(changes)


def no_color() -> bool:
    """Whether the user asked all programs for plain text (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def is_open(settings: Settings) -> bool:
    """Whether the service runs in open mode: for this machine alone, without authentication."""
    return settings.clients is None and settings.public_url is None and is_loopback(settings.host)


@lru_cache(maxsize=256)
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


def database_url(settings: Settings) -> str:
    """The database: the configured one, or a SQLite file in the user's folder for state."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{state_folder() / 'cds-service.db'}"


def state_folder() -> Path:
    """Where this user's files of the service are kept unless a setting names another place."""
    # https://specifications.freedesktop.org/basedir-spec: a relative path is to be ignored
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    state = named if named.is_absolute() else Path("~/.local/state").expanduser()
    return state / "cds-service"


def prefetch_keys(settings: Settings) -> dict[str, str]:
    """The key of discovery for each prefetch key that clients call otherwise."""
    return dict(pair.rsplit("=", 1) for pair in settings.prefetch_keys.split())


def shows_feedback(settings: Settings) -> bool:
    """Whether the page of feedback is there: as set, else where nothing leaves the machine."""
    if settings.feedback_page is not None:
        return settings.feedback_page
    return settings.profile == "development" or is_open(settings)


def shows_sandbox(settings: Settings) -> bool:
    """Whether the page to try data is there: as set, else in development on this machine alone."""
    if settings.sandbox is not None:
        return settings.sandbox
    return settings.profile == "development" and is_open(settings)


def cards_folder(settings: Settings) -> Path:
    """The folder of card packs: the configured one, or the one that came with the service."""
    if settings.cards is not None:
        return settings.cards
    package = Path(__file__).parent
    in_wheel = package / "_cards"
    return in_wheel if in_wheel.is_dir() else package.parent / "cards"


def _read_secret_files(ours: dict[str, str]) -> list[str]:
    """Put what the files of secrets hold in their place; what could not be read is a problem."""
    problems = []
    for variable in [name for name in ours if name.endswith(_FILE)]:
        secret = variable.removesuffix(_FILE)
        described = Settings.model_fields.get(_field(secret))
        if described is None or "SecretStr" not in str(described.annotation):
            continue
        file = Path(ours.pop(variable))
        if secret in ours:
            problems.append(f"{variable}: {secret} is set as well; set one of them")
            continue
        try:
            ours[secret] = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            problems.append(f"{variable}: expected a text file that can be read")
    return problems


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
