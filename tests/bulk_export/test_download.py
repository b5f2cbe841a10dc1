# SPDX-License-Identifier: Apache-2.0
"""A file of an export is whole or not there, however it comes."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.bulk_export.download import Download, NotWhole, resources_in
from cds_service.errors import CdsServiceError
from tests.bulk_export.bulk import PEOPLE, RESULTS, asked_for, files_in, manifest, ready, run
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty, in_turn

PEOPLE_FILE = "Patient.000001.ndjson"
PACKED = gzip.compress(PEOPLE)


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    with faulty() as state:
        ready(state)
        yield state


@pytest.mark.parametrize(
    "reply",
    [
        Reply(PEOPLE),
        Reply(PEOPLE, packed=True),
        Reply(PACKED),  # not marked as packed
        Reply(gzip.compress(PEOPLE[:30]) + gzip.compress(PEOPLE[30:]) + bytes(8)),
    ],
    ids=["plain", "packed", "packed unsaid", "packed in parts"],
)
def test_packed_or_not_the_file_is_the_same(server: Faulty, tmp_path: Path, reply: Reply) -> None:
    server.answers["Patient/1"] = reply

    summary = run(server, tmp_path / "x")

    assert files_in(tmp_path / "x")[PEOPLE_FILE] == PEOPLE
    assert summary.resources["Patient"] == 2
    asked = next(request for request in server.asked if request.path == "Patient/1")
    assert asked.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "broken",
    [
        Reply(PEOPLE, cut=True),
        Reply(PEOPLE[:-4]),  # as if that were all
        Reply(PACKED[:-6]),
        Reply(PACKED[:20] + b"\xff" * 20),
        Reply(b"<html>Log in</html>"),
    ],
    ids=["connection", "line", "packed", "packed wrongly", "page"],
)
def test_what_is_cut_off_is_fetched_again(server: Faulty, tmp_path: Path, broken: Reply) -> None:
    server.answers["Patient/1"] = in_turn(broken, Reply(PEOPLE))

    run(server, tmp_path / "x")

    assert files_in(tmp_path / "x") == {PEOPLE_FILE: PEOPLE, "Observation.000001.ndjson": RESULTS}
    assert asked_for(server, "Patient/1") == 2


def test_what_is_always_cut_off_is_never_there(server: Faulty, tmp_path: Path) -> None:
    server.answers["Patient/1"] = Reply(PEOPLE[:-4])

    with pytest.raises(CdsServiceError, match="cut off"):
        run(server, tmp_path / "x")

    assert PEOPLE_FILE not in files_in(tmp_path / "x")
    assert asked_for(server, "Patient/1") == 4


def test_an_empty_file_is_a_file(server: Faulty, tmp_path: Path) -> None:
    server.answers["Patient/1"] = Reply(b"")

    assert run(server, tmp_path / "x").resources["Patient"] == 0


def test_lines_are_counted_whatever_the_pieces(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf{"a": 1}\r\n\n{"b": 2}'
    path = tmp_path / "x"
    download = Download(path).begin()

    for byte in text:
        download.write(bytes([byte]))
    download.keep()

    assert path.read_bytes() == text
    assert resources_in(path) == 2


def test_a_single_byte_is_no_resource(tmp_path: Path) -> None:
    download = Download(tmp_path / "x").begin()
    download.write(b"x")

    with pytest.raises(NotWhole):
        download.keep()
    download.close()


def test_a_disk_that_is_full_is_named(server: Faulty, tmp_path: Path) -> None:
    def fill(_: Asked) -> Reply:
        (tmp_path / "x" / f"{PEOPLE_FILE}.part").symlink_to("/dev/full")
        return Reply(manifest(server, "Patient/1"))

    server.answers["status"] = fill

    with pytest.raises(CdsServiceError, match="No space left"):
        run(server, tmp_path / "x")
