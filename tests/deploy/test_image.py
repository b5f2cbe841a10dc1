# SPDX-License-Identifier: Apache-2.0
"""The image is built, and containers of it work on a read-only root without any right."""

import json
import re
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from cds_service.clock import system_clock
from tests.deploy import image as images
from tests.deploy.image import Image, container
from tests.house.source import ROOT
from tests.trust.signing import BASE, SERVICE, URL, es384, registration, seconds, write_clients
from tests.web.http_fixtures import call, observation

pytestmark = [
    pytest.mark.slow,
    pytest.mark.server,
    pytest.mark.skipif(images.missing() is not None, reason=f"{images.missing()}"),
]

CLIENTS = "/etc/cds-service/clients.yaml"
# Sends standard input as a hook call, from inside of the container: nobody else reaches it.
CALL = """
import sys
from http.client import HTTPConnection
connection = HTTPConnection("127.0.0.1", 8000, timeout=30)
headers = {"Authorization": "Bearer " + sys.argv[1], "Content-Type": "application/json"}
connection.request("POST", sys.argv[2], sys.stdin.read(), headers)
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


def founding_call() -> tuple[str, str]:
    """A token, and the call of the patient with ALT 1 U/L."""
    now = system_clock()
    times: dict[str, Any] = {"exp": int(seconds(300, now)), "iat": int(seconds(0, now))}
    body = call(observation("1742-6", 1, effectiveDateTime=now.isoformat()))
    return es384().token(aud=URL, **times), json.dumps(body)


def test_serve_answers_the_founding_patient_from_a_read_only_root(
    image: Image, tmp_path: Path
) -> None:
    clients = write_clients(tmp_path / "clients.yaml", registration())
    with container(
        image, tmp_path, mounts={clients: CLIENTS}, clients=CLIENTS, public_url=BASE
    ) as running:
        running.wait_until("cds-healthy")
        token, body = founding_call()
        answered = running.do("/usr/bin/python3", "-c", CALL, token, SERVICE, given=body)
        unsigned = running.do("/usr/bin/python3", "-c", CALL, "none", SERVICE, given=body)
        written = running.do("/usr/bin/python3", "-c", "open('/opt/cds-service/service/new', 'w')")
        ended = running.end()

    status, _, answer = answered.stdout.partition(" ")
    assert status == "200", (answered, (tmp_path / "log").read_text())
    (card,) = json.loads(answer)["cards"]
    assert card["summary"].startswith("Very low ALT (1 U/L)")
    assert unsigned.stdout.startswith("401 ")
    assert "Read-only file system" in written.stderr
    assert ended == 0
    assert (tmp_path / "state" / "cds-service.db").stat().st_uid == 65532


def test_serve_refuses_to_start_before_it_is_known_who_may_call(
    image: Image, tmp_path: Path
) -> None:
    with container(image, tmp_path, mounts={}) as running:
        assert running.process.wait(60) == 2

    assert "CDS_CLIENTS" in (tmp_path / "log").read_text()


def test_the_worker_is_in_the_same_image(image: Image, tmp_path: Path) -> None:
    with container(
        image, tmp_path, "worker", "--until-empty", mounts={}, traces="console"
    ) as running:
        assert running.process.wait(60) == 0, (tmp_path / "log").read_text()


def test_a_population_is_screened_in_the_image(image: Image, tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p", "gender": "male", "birthDate": "1970-01-01"}
    result = observation("1742-6", 1, subject={"reference": "Patient/p"})
    lines = tmp_path / "lines.ndjson"
    lines.write_text(f"{json.dumps(patient)}\n{json.dumps(result)}\n", encoding="utf-8")
    with container(
        image, tmp_path, "screen", "/data.ndjson", "--as-of", "2026-06-15", "--json",
        mounts={lines: "/data.ndjson"},
    ) as running:  # fmt: skip
        ended = running.process.wait(120)

    assert ended == 0, (tmp_path / "log").read_text()
    assert "alt-very-low" in (tmp_path / "log").read_text()


def test_a_scan_is_refused_with_a_sentence_as_tesseract_is_not_in_the_image(
    image: Image, tmp_path: Path
) -> None:
    picture = tmp_path / "scan.png"
    page = PIL.Image.new("L", (1200, 600), 255)
    page.paste(0, (100, 100, 500, 140))
    page.save(picture)
    with container(image, tmp_path, "read", "/scan.png", mounts={picture: "/scan.png"}) as running:
        assert running.process.wait(60) == 1

    said = (tmp_path / "log").read_text()
    assert "Tesseract 4 or newer" in said
    assert "the image of cds-service does not hold it" in said


def test_nothing_in_the_image_is_a_shell_a_package_manager_or_a_secret(image: Image) -> None:
    programs = {
        path.name for place in ("bin", "sbin") for path in (image.root / "usr" / place).iterdir()
    }
    ours = image.root / "opt" / "cds-service"

    assert not programs & {"sh", "dash", "bash", "busybox", "pip", "pip3", "apt", "apt-get", "curl"}
    assert not list(ours.rglob("tests/deploy")) + list(ours.glob("*/pip"))
    assert (ours / "service" / "cds_service" / "_cards" / "liver" / "pack.yaml").is_file()
    assert not any(path.stat().st_mode & 0o022 for path in ours.rglob("*") if not path.is_symlink())


def test_what_the_image_says_of_itself(image: Image) -> None:
    config: dict[str, Any] = image.config

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["cds-service"]
    assert config["Healthcheck"]["Test"] == ["CMD", "cds-healthy"]
    assert list(config["Volumes"]) == ["/var/lib/cds-service"]
    assert config["Labels"]["org.opencontainers.image.version"] == images.VERSION


def test_the_service_in_the_image_has_the_version_that_the_build_was_given(
    image: Image, tmp_path: Path
) -> None:
    with container(image, tmp_path, "--version", mounts={}) as running:
        assert running.process.wait(60) == 0

    assert (tmp_path / "log").read_text().strip() == f"cds-service, version {images.VERSION}"


def test_the_guide_says_how_big_the_image_is_on_top_of_its_base(image: Image) -> None:
    files = {path.lstat().st_ino: path.lstat().st_size for path in (image.root / "opt").rglob("*")}
    megabytes = sum(files.values()) / 1e6
    guide = (ROOT / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
    said = re.search(r"(\d+) MB on top of its base", guide)

    assert said is not None
    assert megabytes == pytest.approx(int(said[1]), rel=0.1)
