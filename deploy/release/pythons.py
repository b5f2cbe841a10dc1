# SPDX-License-Identifier: Apache-2.0
"""The wheel on every Python that the project names: installed with its pins, and used."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from time import monotonic

from deploy.release import environments
from deploy.release.commands import run
from deploy.release.refusal import Refused

# What every Python has to say about the founding patient.
FOUNDING = "Very low ALT (1 U/L)"
# Tests of the core that need nothing but the service and `requirements/trial.lock`.
TESTS = (
    "tests/hooks", "tests/labs", "tests/rules", "tests/sources",
    "tests/intake/test_times.py", "tests/test_amounts.py", "tests/test_decide.py",
    "tests/test_iso_times.py", "tests/test_prefetch_keys.py",
)  # fmt: skip
_CLASSIFIER = "Programming Language :: Python :: "


@dataclass(frozen=True)
class Trial:
    """What came of one Python: the number of tests that passed, or what went wrong."""

    python: str
    tests: int
    seconds: float
    problem: str = ""


def named(tree: Path) -> list[str]:
    """The versions that the project says it runs on, oldest first."""
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = [
        one.removeprefix(_CLASSIFIER)
        for one in project["classifiers"]
        if re.fullmatch(rf"{_CLASSIFIER}\d+\.\d+", one)
    ]
    return sorted(found, key=lambda version: int(version.split(".")[1]))


def found(versions: list[str], environ: Mapping[str, str]) -> dict[str, Path]:
    """An interpreter for each of these versions that this machine has.

    Looked for on the path, among those of pyenv, and where requirements/install-python-314 keeps
    one of Debian's.
    """
    user = Path(environ.get("HOME", "/"))
    pyenv = Path(environ.get("PYENV_ROOT") or user / ".pyenv")
    cache = Path(environ.get("XDG_CACHE_HOME") or user / ".cache", "cds-service")
    interpreters = {}
    for version in versions:
        name = f"python{version}"
        places = [shutil.which(name, path=environ.get("PATH"))]
        places += sorted(str(one) for one in pyenv.glob(f"versions/{version}.*/bin/{name}"))
        places.append(str(cache / f"python-{version}" / "usr" / "bin" / name))
        if _is(version, sys.executable):
            places.insert(0, sys.executable)
        if (one := next((p for p in places if p and _is(version, p)), None)) is not None:
            interpreters[version] = Path(one)
    return interpreters


def try_all(
    tree: Path,
    wheel: Path,
    interpreters: Mapping[str, Path],
    work: Path,
    *,
    tests_here: bool = False,
) -> list[Trial]:
    """Try the wheel on each, two at a time; a Python that fails keeps no other from being tried.

    Tests run on the Python of this process only with `tests_here`.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        begun = [
            pool.submit(
                _trial, tree, wheel, version, python, work / version,
                with_tests=tests_here or not _is(version, sys.executable),
            )
            for version, python in interpreters.items()
        ]  # fmt: skip
        return [one.result() for one in begun]


def _is(version: str, python: str) -> bool:
    # A name on the path may be an empty shim: only a run tells.
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-Ic", show], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == version


def _trial(
    tree: Path, wheel: Path, version: str, python: Path, work: Path, *, with_tests: bool
) -> Trial:
    begun = monotonic()
    try:
        passed = _tried(tree, wheel, python, work, with_tests=with_tests)
    except Refused as refused:
        return Trial(version, 0, monotonic() - begun, str(refused))
    return Trial(version, passed, monotonic() - begun)


def _tried(tree: Path, wheel: Path, python: Path, work: Path, *, with_tests: bool) -> int:
    """The number of tests that passed; raises `Refused` with what did not work."""
    state = work / "state"
    state.mkdir(parents=True)
    made = environments.create(work / "venv", python)
    environments.install_lock(made, tree / "requirements" / "runtime.lock")
    environments.install(made, wheel)
    for lock in ("build.lock", "dev.lock", "extras.lock", "image.lock"):
        environments.require_wheels(made, tree / "requirements" / lock)
    env = {"PATH": os.defpath, "HOME": str(work), "XDG_STATE_HOME": str(state)}
    command = made.with_name("cds-service")

    def printed(*words: str | Path) -> str:
        return run(command, *words, cwd=work, env=env)

    expected = wheel.name.split("-")[1]
    if (version := printed("--version").split()[-1]) != expected:
        raise Refused(f"the installed command says {version}, not {expected}")
    printed("check")
    request = work / "request.json"
    request.write_text(printed("demo", "--request"), encoding="utf-8")
    evaluated = printed("evaluate", request)
    served = printed("demo", "--once", "--port", str(_free_port()))
    for shown, door in ((evaluated, "evaluate"), (served, "a hook call")):
        if FOUNDING not in shown:
            raise Refused(f"{door} does not show {FOUNDING!r} to the founding patient:\n{shown}")
    return _tests(tree, made, work, env) if with_tests else 0


def _tests(tree: Path, python: Path, work: Path, env: Mapping[str, str]) -> int:
    """Run the tests from a tree without the service, so that they import that of the wheel."""
    environments.install_lock(python, tree / "requirements" / "trial.lock")
    beside = work / "tree"
    beside.mkdir()
    for one in ("benchmarks", "cards", "deploy", "docs", "openapi.yaml", "pyproject.toml"):
        (beside / one).symlink_to(tree / one)
    shutil.copytree(tree / "tests", beside / "tests", ignore=shutil.ignore_patterns("target"))
    where = run(python, "-c", "import cds_service as s; print(s.__file__)", cwd=beside, env=env)
    if not Path(where.strip()).is_relative_to(work / "venv"):
        raise Refused(f"the tests would not try the wheel but {where}")
    said = run(
        python, "-m", "pytest", "--quiet", "--hypothesis-profile=fast", "-p", "no:cacheprovider",
        "-m", "not (browser or database or server or slow)", *TESTS, cwd=beside, env=env,
    )  # fmt: skip
    passed = re.search(r"^(\d+) passed", said, re.MULTILINE)
    if passed is None:
        raise Refused(f"pytest does not say how many tests passed:\n{said[-500:]}")
    return int(passed[1])


def _free_port() -> int:
    with closing(socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
