# SPDX-License-Identifier: Apache-2.0
"""What /metrics says of keys, database, certificate and packs of a service."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.smart.key_rotation import add_key
from tests.web.http_fixtures import ALT, NOW, SERVICE, call, client, observation


def lines(settings: Settings) -> list[str]:
    return client(settings).get("/metrics").text.splitlines()


def test_the_key_that_signs_says_since_when_and_one_that_waits_does_not(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    begun = NOW - timedelta(days=500)
    add_key(file, "ES384", begun)
    add_key(file, "ES384", NOW)  # signs a day later
    add_key(file, "RS384", NOW, signs_from=NOW + timedelta(days=1))

    said = [
        line
        for line in lines(Settings(signing_keys=file))
        if line.startswith("cds_signing_key_begun_timestamp_seconds{")
    ]

    name, value = said[0].split(" ")
    assert (len(said), name) == (
        1,
        'cds_signing_key_begun_timestamp_seconds{algorithm="ES384"}',
    )
    assert float(value) == begun.timestamp()


def test_a_key_whose_file_does_not_say_since_when_counts_from_1970(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    add_key(file, "ES384", NOW)
    document = json.loads(file.read_text(encoding="utf-8"))
    for key in document["keys"]:
        del key["signs_from"]
    file.write_text(json.dumps(document), encoding="utf-8")

    expected = 'cds_signing_key_begun_timestamp_seconds{algorithm="ES384"} 0.0'
    assert expected in lines(Settings(signing_keys=file))


def test_a_file_of_keys_that_became_wrong_is_not_current(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    add_key(file, "ES384", NOW)
    http = client(Settings(signing_keys=file))
    assert "cds_signing_keys_current 1.0" in http.get("/metrics").text

    file.write_text("{}", encoding="utf-8")

    assert "cds_signing_keys_current 0.0" in http.get("/metrics").text


def test_without_files_of_clients_and_keys_nothing_is_wrong_with_them() -> None:
    said = lines(Settings())

    assert {"cds_clients_current 1.0", "cds_signing_keys_current 1.0"} <= set(said)
    assert not any(line.startswith("cds_certificate_end_timestamp_seconds{") for line in said)


def test_a_database_whose_file_was_removed_is_not_up(tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    settings = Settings.model_validate({"database_url": f"sqlite:///{file}"})
    http = client(settings)
    file.unlink()

    assert "cds_database_up 0.0" in http.get("/metrics").text


def test_a_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.write_text("no certificate", encoding="utf-8")

    with pytest.raises(SettingsError, match="CDS_TLS_CERTIFICATE"):
        client(Settings(tls_certificate=file, tls_key=file))


def test_results_that_were_used_and_refusals_are_counted() -> None:
    http = client()
    http.post(SERVICE, json=call(observation(ALT, 1), observation("1920-8", 30)))
    http.post(SERVICE, json={**call(), "prefetch": {}})

    said = http.get("/metrics").text.splitlines()

    assert "cds_results_used_total 2.0" in said
    assert 'cds_error_responses_total{service="liver-patient-view",status="412"} 1.0' in said


def test_no_clinician_has_signed_the_pack_of_this_repository_yet() -> None:
    (said,) = [line for line in lines(Settings()) if line.startswith("cds_pack_signed{")]

    assert said.endswith(" 0.0")
