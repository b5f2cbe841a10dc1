# SPDX-License-Identifier: Apache-2.0
"""The settings of Subscriptions and of the inbox; a part of `settings.py`, which reads them."""

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field, PositiveInt, SecretStr

from cds_service.message_settings import MessageListenerSettings

_SHORTEST_SECRET: Final = 32


def _long(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) >= _SHORTEST_SECRET:
        return secret
    raise ValueError(f"expected at least {_SHORTEST_SECRET} characters")


LongSecret: TypeAlias = Annotated[SecretStr, AfterValidator(_long)]


class ArrivalSettings(MessageListenerSettings):
    """Settings of results that arrive."""

    subscription_key: LongSecret | None = Field(
        None,
        description="The secret, of 32 or more characters, under which HMAC keys of Subscriptions "
        "are kept encrypted. Unset: no Subscription has an HMAC key.",
    )
    max_notification_bytes: PositiveInt = Field(
        4 * 1024 * 1024, description="The longest notification that is read, in bytes."
    )
    inbox_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="How often a result that arrived may fail before it is a dead letter."
    )
    inbox_hours: PositiveInt = Field(
        24,
        description="How many hours a result that arrived is tried again while its FHIR server "
        "does not answer; then it is a dead letter.",
    )
    inbox_lease_seconds: Annotated[int, Field(ge=5, le=3600)] = Field(
        60,
        description="How long a worker has for the results of one patient, in seconds; then "
        "another one may take them.",
    )
    inbox_days: PositiveInt = Field(
        30, description="How many days it is known which results arrived and were decided on."
    )
    decision_input_days: PositiveInt = Field(
        30,
        description="How many days it is kept what a decision on results that arrived was derived "
        "from, which is patient data; then it cannot be replayed.",
    )
    decision_days: PositiveInt = Field(
        365, description="How many days decisions on results that arrived are kept."
    )
    advice_days: PositiveInt = Field(
        365,
        description="How many days it is known what was written to a FHIR server and is over: "
        "withdrawn, rejected, not found any more, left to somebody who works on it, or only noted "
        "in silent mode. At least as long as a card may be quiet; what is open is kept.",
    )
    arrivals_page: bool | None = Field(
        None,
        description="Show Subscriptions, the inbox and the last decisions at /arrivals without a "
        "token, then without patients. Unset: in development and in open mode only; registered "
        "clients see it always.",
    )
    gap_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        10,
        description="How long an event that was skipped may be late, in seconds, before the FHIR "
        "server is asked for it.",
    )
    reconcile_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        15,
        description="How often the worker searches for results that no notification named, in "
        "minutes; it does so when it starts as well.",
    )
    renew_before_days: Annotated[int, Field(ge=0, le=365)] = Field(
        3,
        description="How many days before its end the worker renews a Subscription; 0: never.",
    )
    renew_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        30,
        description="For how many days the worker renews a Subscription that has an end.",
    )
    reconcile_overlap_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        10,
        description="How far before the last search the next one begins, in minutes: the FHIR "
        "server's clock may differ, and its index may be late.",
    )
