# SPDX-License-Identifier: Apache-2.0
"""What is not as it must be stops a release, and leaves nothing behind."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.release import artefacts, packages, vulnerabilities
from deploy.release.refusal import Refused
from deploy.release.vulnerabilities import NOT_ASKED, Audit
from tests.house.source import ROOT

Answered = Callable[[Audit], None]


@pytest.fixture(name="answered")
def _answered(monkeypatch: pytest.MonkeyPatch) -> Answered:
    """Has the audit end so; that of pip-audit itself is in test_vulnerabilities.py."""

    def answer(audit: Audit) -> None:
        monkeypatch.setattr(vulnerabilities, "audit", lambda _: audit)

    return answer


@pytest.mark.parametrize("must_ask", [True, False])
def test_a_known_vulnerability_stops_a_release_and_a_rehearsal(
    answered: Answered, tmp_path: Path, *, must_ask: bool
) -> None:
    answered(Audit(2, findings=("beta 2.0: OSV-2026-1 (mended in 2.1)",)))

    with pytest.raises(Refused, match=r"known vulnerabilities:\nbeta 2\.0: OSV-2026-1"):
        artefacts.write_audit(ROOT, tmp_path, print, must_ask=must_ask)

    assert list(tmp_path.iterdir()) == []


def test_a_release_ends_where_nobody_answers(answered: Answered, tmp_path: Path) -> None:
    answered(Audit(2, unanswered="no such host"))

    with pytest.raises(Refused, match=r"NOT looked for.*no such host"):
        artefacts.write_audit(ROOT, tmp_path, print, must_ask=True)

    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_says_that_nobody_answered(answered: Answered, tmp_path: Path) -> None:
    answered(Audit(2, unanswered="no such host"))
    said: list[str] = []

    artefacts.write_audit(ROOT, tmp_path, said.append, must_ask=False)

    assert said == [f"vulnerabilities: {NOT_ASKED} no such host"]
    audit = json.loads((tmp_path / "vulnerabilities.json").read_text(encoding="utf-8"))
    assert audit == {"packages": 2, "known": None, "not asked because": "no such host"}


def test_an_answer_of_none_is_written_as_none(answered: Answered, tmp_path: Path) -> None:
    answered(Audit(2))
    said: list[str] = []

    artefacts.write_audit(ROOT, tmp_path, said.append, must_ask=True)

    assert said == ["vulnerabilities: none known of 2 packages"]
    assert (
        json.loads((tmp_path / "vulnerabilities.json").read_text(encoding="utf-8"))["known"] == []
    )


def test_a_folder_that_is_there_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is there already"):
        artefacts.make(ROOT, tmp_path, ROOT, print)


def wheel(folder: Path, name: str, day: int) -> Path:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as packed:
        packed.writestr(zipfile.ZipInfo("module.py", (2026, 1, day, 0, 0, 0)), "print()\n")
    return folder / name


def test_a_wheel_that_differs_by_a_time_is_another_one(tmp_path: Path) -> None:
    first_wheel = wheel(tmp_path / "one", "a-1-py3-none-any.whl", 1)
    same = wheel(tmp_path / "same", "a-1-py3-none-any.whl", 1)
    later = wheel(tmp_path / "later", "a-1-py3-none-any.whl", 2)
    other = wheel(tmp_path / "other", "a-2-py3-none-any.whl", 1)

    packages.require_same([first_wheel], [same], "built twice")
    with pytest.raises(Refused, match=r"built twice, a-1-py3-none-any\.whl is another one"):
        packages.require_same([first_wheel], [later], "built twice")
    with pytest.raises(Refused, match=r"it makes a-2-\S+ in place of a-1-"):
        packages.require_same([first_wheel], [other], "built twice")


def test_a_build_of_another_version_is_refused(tmp_path: Path) -> None:
    built = [wheel(tmp_path, "cds_service-1.2.3-py3-none-any.whl", 1)]

    with pytest.raises(Refused, match=r"expected cds_service-1\.2\.4-py3-none-any\.whl and"):
        packages.named(built, "1.2.4")
