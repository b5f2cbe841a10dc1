# SPDX-License-Identifier: Apache-2.0
"""A service over a database of its own, whose clock can be moved."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.store.tables import feedback
from cds_service.web import create_app
from tests.web.http_fixtures import INSTANCE, NOW, SERVICE, Json, founding, knowledge

KEY = "a key of tests, long enough to be one"
FEEDBACK = f"{SERVICE}/feedback"
AT = "2026-06-15T09:00:00Z"


@dataclass
class Clinic:
    """A running service as its clients see it, and what it keeps."""

    http: FlaskClient
    store: Store
    clock: list[datetime] = field(default_factory=list)
    calls: int = 0

    def close(self) -> None:
        """Write what is waiting and close the database."""
        self.http.application.extensions["memory"].close()

    def flush(self) -> None:
        """Write what was counted, and read what others were told."""
        self.http.application.extensions["memory"].flush()

    def wait(self, **parts: float) -> None:
        """Let time pass."""
        self.clock[0] += timedelta(**parts)

    def call(self, body: Json | None = None, service: str = SERVICE, **headers: str) -> Json:
        """The answer to a call that no other call repeats."""
        self.calls += 1
        own = {"hookInstance": f"{INSTANCE[:-6]}{self.calls:06}"}
        response = self.http.post(service, json={**(body or founding()), **own}, headers=headers)
        assert response.status_code == 200, response.text
        answer: Json = response.json or {}
        return answer

    def rules(self, body: Json | None = None, service: str = SERVICE) -> list[str]:
        """The rules whose cards a call is answered with."""
        return [rule_of(card) for card in self.call(body, service)["cards"]]

    def send(self, *items: object, service: str = FEEDBACK) -> TestResponse:
        """The answer to feedback."""
        return self.http.post(service, json={"feedback": items})

    def override(self, cards: list[Json]) -> None:
        """Override these cards."""
        assert self.send(*(item(card["uuid"]) for card in cards)).status_code == 200

    def count(self) -> int:
        """How many events are kept."""
        with self.store.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(feedback)).scalar_one()


def item(card: str, outcome: str = "overridden", at: str = AT, **more: Any) -> dict[str, Any]:
    """One event."""
    return {"card": card, "outcome": outcome, "outcomeTimestamp": at, **more}


def rule_of(card: Json) -> str:
    """The rule that a card says it is of."""
    rule: str = card["extension"]["org.cds-service.card"]["rule"]
    return rule


def version_of(rule: str) -> str:
    """The version of a rule of the liver pack."""
    return knowledge().packs[0].rules[rule].version


def clinic(database: str, **more: object) -> Clinic:
    """A service with all of its packs over this database; cards that were shown are not quiet."""
    usual = {"database_url": SecretStr(database), "hash_key": SecretStr(KEY), "quiet": False}
    settings = Settings(**{**usual, **more})  # type: ignore[arg-type]
    clock = [NOW]
    store = open_store(database)
    app = create_app(settings, clock=lambda: clock[0], knowledge=knowledge(), store=store)
    return Clinic(app.test_client(), store, clock)
