# SPDX-License-Identifier: Apache-2.0
"""What follows from the registration of a client: audiences of feedback, form of cards, keys."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.shapes import epic_nothing, epic_view
from tests.trust.signing import URL, Site, es384, registration, site
from tests.web.http_fixtures import SERVICE, Json, founding

EVENT = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-06-15T09:00:00Z"}


def ask(place: Site, body: Json, path: str = SERVICE, **claims: Any) -> Any:
    headers = {"Authorization": f"Bearer {es384().token(**claims)}"}
    return place.http.post(path, json=body, headers=headers)


@pytest.mark.parametrize(
    ("audiences", "of_feedback", "of_service"),
    [(["url called"], 200, 401), (["url called", "service url"], 200, 200)],
)
def test_ch_fb_010_feedback_is_for_its_own_url_or_where_the_site_says_so_that_of_the_service(
    tmp_path: Path, audiences: list[str], of_feedback: int, of_service: int
) -> None:
    place = site(tmp_path, registration(audiences=audiences))
    body, path = {"feedback": [EVENT]}, f"{SERVICE}/feedback"

    assert ask(place, body, path, aud=f"{URL}/feedback").status_code == of_feedback
    assert ask(place, body, path, aud=URL).status_code == of_service
    assert place.http.post(path, json=body).status_code == 401


def test_the_form_of_cards_is_that_of_the_client_and_not_of_the_setting(tmp_path: Path) -> None:
    names = {"default": "org.cds-service.card", "epic": "com.epic.cdshooks"}
    for profile in names:
        folder = tmp_path / profile
        folder.mkdir()
        place = site(folder, registration(**{"output profile": profile}), output_profile="epic")

        (card,) = ask(place, founding()).json["cards"]

        assert any(name.startswith(names["epic"]) for name in card["extension"]) is (
            profile == "epic"
        )


def test_keys_that_a_client_names_otherwise(tmp_path: Path) -> None:
    body = epic_view(**{"-alt90": epic_nothing()})
    plain, mapped = tmp_path / "plain", tmp_path / "mapped"
    plain.mkdir()
    mapped.mkdir()
    keys = {"prefetch keys": {"-alt90": "observations"}}

    assert ask(site(plain), body).status_code == 412
    assert ask(site(mapped, registration(**keys)), body).json == {"cards": []}
