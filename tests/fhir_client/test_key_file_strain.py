# SPDX-License-Identifier: Apache-2.0
"""The file of signing keys under strain: odd keys, full disks, commands at the same time."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.errors import SettingsError
from cds_service.smart.key_rotation import add_key, retire_key
from cds_service.smart.signing_keys import ALGORITHMS, read_signing_keys
from cds_service.trust.jwk import read_key
from tests.web.http_fixtures import NOW

Json = dict[str, Any]
MEMBERS = {"ES384": ["alg", "crv", "kid", "kty", "use", "x", "y"]}
MEMBERS["RS384"] = ["alg", "e", "kid", "kty", "n", "use"]


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def written(path: Path, *entries: object, mode: int = 0o600) -> Path:
    path.write_text(json.dumps({"keys": entries}), encoding="utf-8")
    path.chmod(mode)
    return path


def entry(path: Path, algorithm: Any = "ES384", **changes: Any) -> Json:
    """A good key as it stands in a file; a member that is given as `...` is left out."""
    made = path.with_name(f"made-{algorithm}.json")
    add_key(made, algorithm, NOW)
    found: Json = json.loads(made.read_text())["keys"][-1]
    return {name: value for name, value in {**found, **changes}.items() if value is not ...}


# Keys that somebody changed


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = ["kty", "crv", "x", "y", "d", "kid", "alg", "use", "signs_from", "n", "e", "p", "q", "dp"]


@st.composite
def changed_keys(draw: st.DrawFn) -> Json:
    """A key with some members that are something else, or another key's, or not there."""
    base: Json = {**PRIVATE[draw(st.sampled_from(ALGORITHMS))]}
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True)):
        other = st.sampled_from([key[name] for key in PRIVATE.values() if name in key] or [None])
        value = draw(st.just(...) | JSON_VALUES | other)
        base = {key: old for key, old in base.items() if key != name}
        if value is not ...:
            base[name] = value
    return base


@pytest.fixture(scope="module", autouse=True)
def _private(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("private")
    PRIVATE.update({algorithm: entry(folder / "x", algorithm) for algorithm in ALGORITHMS})


PRIVATE: dict[str, Json] = {}
EXAMPLES = settings(max_examples=100, deadline=None)


@EXAMPLES
@given(found=st.data())
def test_any_file_is_read_or_refused_and_no_private_part_is_told(found: st.DataObject) -> None:
    entries = found.draw(st.lists(changed_keys() | JSON_VALUES, max_size=3))
    file = Path(os.environ["XDG_STATE_HOME"]) / f"keys-{os.getpid()}.json"
    written(file, *entries)

    try:
        keys = read_signing_keys(file)
    except SettingsError as error:
        said = str(error)
        keys = None
    if keys is None:
        assert not any(key["d"] in said for key in PRIVATE.values())
        return
    assert len(keys.keys) == len(entries)
    for key in keys.keys:
        assert sorted(key.public) == MEMBERS[key.algorithm]
        assert read_key(key.public).fits(key.algorithm)
        assert key.signed({}).count(".") == 2


# Writing


def test_what_stands_in_the_file_stays_as_it_is(file: Path) -> None:
    foreign = entry(file, note="ours", signs_from=...)
    written(file, foreign)

    retire_key(file, add_key(file, "ES384", NOW).kid, NOW)

    assert json.loads(file.read_text()) == {"keys": [foreign]}


def test_a_wrong_file_is_not_changed(file: Path) -> None:
    file.write_text("{}")
    file.chmod(0o600)

    with pytest.raises(SettingsError):
        add_key(file, "ES384", NOW)
    assert file.read_text() == "{}"


def test_the_file_is_for_its_owner_and_nothing_is_left_beside_it(file: Path) -> None:
    old = os.umask(0)
    try:
        add_key(file, "ES384", NOW)
    finally:
        os.umask(old)

    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_failure_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_key(file, "ES384", NOW)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SettingsError, match="nothing can be written"):
        add_key(file, "ES384", NOW)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_commands_at_the_same_time_lose_no_key(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: add_key(file, "ES384", NOW).kid, range(16)))

    assert {key.kid for key in read_signing_keys(file).keys} == made
    assert len(made) == 16
