# SPDX-License-Identifier: Apache-2.0
"""The invented pack of this folder, and copies of it with something changed."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cds_service.decide import Program, compile_pack
from cds_service.knowledge.checking.lock import check_lock, read_lock
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.reading.build import build_pack, load_pack
from cds_service.knowledge.reading.folder import PackFiles, read_files
from cds_service.sourcefile.diagnostics import Problem

LETTERS = Path(__file__).parent / "pack"
SHOWN = "letters"


@cache
def letters() -> Pack:
    """The pack, which has no problems."""
    return load_pack(LETTERS, SHOWN)


@cache
def letters_program() -> Program:
    """The pack compiled."""
    return compile_pack(letters())


def letters_files(folder: Path = LETTERS) -> PackFiles:
    """The files of the pack, or of a copy."""
    return read_files(folder, SHOWN)


@cache
def _contents() -> Mapping[str, bytes]:
    """Every file of the pack by its path inside it; hundreds of tests make a copy."""
    return {
        path.relative_to(LETTERS).as_posix(): path.read_bytes()
        for path in LETTERS.rglob("*")
        if path.is_file()
    }


def changed(tmp_path: Path, changes: Mapping[str, str | bytes]) -> Path:
    """A copy of the pack with these files written over it."""
    folder = tmp_path / SHOWN
    for parent in {path.rpartition("/")[0] for path in (*_contents(), *changes)}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for path, content in {**_contents(), **changes}.items():
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / path).write_bytes(raw)
    return folder


def replaced(path: str, *pairs: tuple[str, str]) -> dict[str, str | bytes]:
    """One file of the pack with texts replaced, for `changed`."""
    text = (LETTERS / path).read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
        text = text.replace(old, new)
    return {path: text}


def problems_of(folder: Path) -> list[Problem]:
    """The problems of reading, linking and the lock."""
    files = letters_files(folder)
    pack, problems = build_pack(files)
    if pack is None or problems:
        return problems
    return check_lock(files, pack, read_lock(folder, SHOWN))


def places(problems: list[Problem]) -> list[str]:
    """Each problem as `path:line: code`, in order."""
    ordered = sorted(set(problems), key=lambda problem: problem.order)
    return [
        f"{problem.mark.file.removeprefix(SHOWN + '/')}:{problem.mark.line}: {problem.code}"
        for problem in ordered
    ]
