# SPDX-License-Identifier: Apache-2.0
"""Nobody reads "no vulnerability known" where nobody answered; pip-audit itself is asked."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.release import vulnerabilities
from deploy.release.vulnerabilities import NOT_ASKED, Audit

FOUND = {
    "id": "OSV-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "beta", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
            "versions": ["2.0"],
        }
    ],
}


class Database(ThreadingHTTPServer):
    """Answers as the database of OSV does."""

    known: dict[str, list[Any]]
    status: int
    asked: list[str]


class Answers(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.server.asked.append(name)
        body = json.dumps({"vulns": self.server.known.get(name, [])}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="database")
def _database() -> Iterator[Database]:
    with Database(("127.0.0.1", 0), Answers) as server:
        server.known, server.status, server.asked = {}, 200, []
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    locks = {"runtime.lock": "alpha==1.0\n", "extras.lock": "alpha==1.0\nbeta==2.0\nbeta==2.1\n"}
    for name, text in locks.items():
        (tmp_path / "requirements" / name).write_text(text, encoding="utf-8")
    return tmp_path


def ask(tree: Path, port: int) -> Audit:
    return vulnerabilities.audit(tree, ("osv", "--osv-url", f"http://127.0.0.1:{port}"))


@pytest.mark.slow
def test_every_version_is_asked_about_and_none_known_is_an_answer(
    database: Database, tree: Path
) -> None:
    audit = ask(tree, database.server_port)

    assert audit == Audit(asked=3)
    assert sorted(database.asked) == ["alpha", "beta", "beta"]
    assert json.loads(audit.as_json())["known"] == []


@pytest.mark.slow
def test_what_is_known_is_named_with_the_version_that_mends_it(
    database: Database, tree: Path
) -> None:
    database.known["beta"] = [FOUND]

    audit = ask(tree, database.server_port)

    assert audit.unanswered == ""
    assert "beta 2.0: OSV-2026-1 (mended in 2.1)" in audit.findings


@pytest.mark.slow
@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_error_is_no_answer(database: Database, tree: Path, status: int) -> None:
    database.status = status

    audit = ask(tree, database.server_port)

    assert audit.unanswered
    assert json.loads(audit.as_json())["known"] is None
    assert set(database.asked) == {"alpha"}  # who cannot answer is not asked on


@pytest.mark.slow
def test_a_database_that_is_away_is_no_answer(database: Database, tree: Path) -> None:
    database.shutdown()
    database.server_close()

    audit = ask(tree, database.server_port)

    assert "Connection" in audit.unanswered
    assert "\n" not in audit.unanswered


WANTED = {("alpha", "1.0"), ("beta", "2.0")}


def test_a_package_without_an_answer_makes_the_audit_none() -> None:
    alpha = {"name": "Alpha", "version": "1.0", "vulns": []}
    skipped = {"name": "beta", "skip_reason": "Dependency not found on PyPI"}

    assert vulnerabilities.read([alpha], WANTED).unanswered == "no answer about beta 2.0"
    assert vulnerabilities.read([alpha, skipped], WANTED).unanswered == "no answer about beta 2.0"
    assert vulnerabilities.read([], WANTED).unanswered == "no answer about alpha 1.0"
    beta = {"name": "beta", "version": "2.0", "vulns": []}
    assert vulnerabilities.read([alpha, beta], WANTED) == Audit(asked=2)


def test_the_sentence_does_not_say_that_there_are_none() -> None:
    assert "NOT looked for" in NOT_ASKED
