# SPDX-License-Identifier: Apache-2.0
"""Settings come from the environment, whole or not at all."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cds_service.cli.settings import describe
from cds_service.errors import SettingsError
from cds_service.settings import Settings, cards_folder, load_settings
from tests.house.source import ROOT


def problems_of(**environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load_settings({}) == Settings()
    assert load_settings({}).profile == "production"
    assert load_settings({}).max_body_bytes == 16 * 1024 * 1024


def test_variables_are_read_by_their_type(tmp_path: Path) -> None:
    settings = load_settings(
        {"CDS_PORT": "9000", "CDS_NAMES_FALLBACK": "false", "CDS_CARDS": str(tmp_path)}
    )

    assert (settings.port, settings.names_fallback, settings.cards) == (9000, False, tmp_path)


def test_settings_made_directly_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDS_PORT", "9000")

    assert Settings().port == 8000
    assert load_settings().port == 9000


def test_all_problems_are_told_at_once() -> None:
    problems = problems_of(CDS_PORT="high", CDS_PROFILE="test", CDS_SITE_TIME_ZONE="Mars/Base")

    assert [problem.split(":")[0] for problem in problems] == [
        "CDS_PROFILE",
        "CDS_SITE_TIME_ZONE",
        "CDS_PORT",
    ]


@pytest.mark.parametrize(
    "variable",
    ["CDS_PROFILE", "CDS_CARDS", "CDS_SITE_TIME_ZONE", "CDS_PORT", "CDS_PUBLIC_URL", "CDS_EXPLAIN"],
)
def test_a_problem_never_shows_the_value(variable: str) -> None:
    (problem,) = problems_of(**{variable: "zzsecret"})

    assert problem.startswith(f"{variable}: ")
    assert "zzsecret" not in problem


def test_a_misspelt_name_is_refused_with_a_suggestion() -> None:
    assert problems_of(CDS_PROT="9000") == (
        "CDS_PROT: there is no such setting; did you mean CDS_PORT?",
    )


def test_names_of_kubernetes_and_empty_values_are_ignored() -> None:
    environ = {"CDS_SERVICE_PORT": "tcp://10.0.0.1:80", "CDS_PUBLIC_URL": "", "PATH": "/bin"}

    assert load_settings(environ) == Settings()


@pytest.mark.parametrize("url", ["http://localhost:8000", "https://cds.example.org/liver/"])
def test_a_public_url_is_an_http_address(url: str) -> None:
    assert load_settings({"CDS_PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize("url", ["cds.example.org", "ftp://a", "https://user@a", "https://a/?q=1"])
def test_a_public_url_has_no_user_and_no_query(url: str) -> None:
    assert len(problems_of(CDS_PUBLIC_URL=url)) == 1


SECRET = "zzsecret" * 4


def test_a_secret_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n", encoding="utf-8")

    settings = load_settings({"CDS_HASH_KEY_FILE": str(file)})

    assert settings.hash_key is not None
    assert settings.hash_key.get_secret_value() == SECRET
    shown = {each.name: each.value for each in describe(settings)}
    assert shown["hash_key"] == "***"
    assert SECRET not in repr(settings)


def test_a_secret_is_given_once_and_its_file_can_be_read(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")

    assert problems_of(CDS_HASH_KEY_FILE=missing) == (
        "CDS_HASH_KEY_FILE: expected a text file that can be read",
    )
    assert problems_of(CDS_HASH_KEY_FILE=missing, CDS_HASH_KEY=SECRET) == (
        "CDS_HASH_KEY_FILE: CDS_HASH_KEY is set as well; set one of them",
    )
    assert len(problems_of(CDS_PORT_FILE=missing)) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CDS_HASH_KEY", "short"), ("CDS_DATABASE_URL", "mysql://zzsecret@host/x")],
)
def test_a_secret_that_is_wrong_is_not_shown(variable: str, value: str) -> None:
    (problem,) = problems_of(**{variable: value})

    assert problem.startswith(f"{variable}: expected")
    assert value not in problem


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_a_description_names_variable_value_and_source() -> None:
    described = {each.name: each for each in describe(load_settings({"CDS_PORT": "9000"}))}

    assert set(described) == set(Settings.model_fields)
    assert all(each.meaning.endswith(".") for each in described.values())
    port, host = described["port"], described["host"]
    assert (port.variable, port.default, port.value, port.source) == (
        "CDS_PORT",
        "8000",
        "9000",
        "environment",
    )
    assert host.source == "default"


def test_the_packs_that_come_with_the_service_are_the_default(tmp_path: Path) -> None:
    assert cards_folder(Settings()) == ROOT / "cards"
    assert cards_folder(Settings(cards=tmp_path)) == tmp_path
