# SPDX-License-Identifier: Apache-2.0
"""The pages of the site: those of `docs/`, and of each file beside it that they link to.

In the repository a page links to `../../deploy/proxy/nginx.conf`, which no site of `docs/` alone
has. Here that file becomes a page of its own under `repository/`, and the link leads there. So what
a reader of the site sees is of the same version, and needs no other host.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from os.path import relpath
from pathlib import Path, PurePosixPath

_LINK = re.compile(r"\]\((?!https?:|#|mailto:)(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n.*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_BESIDE = PurePosixPath("repository")
_LEXERS: Mapping[str, str] = {".yaml": "yaml", ".py": "python", ".sql": "sql", ".conf": "nginx"}


def stage(root: Path, folder: Path) -> frozenset[PurePosixPath]:
    """Write every page of the site into the folder; what files beside `docs/` were taken in.

    Raises FileNotFoundError if a page links to what is not there.
    """
    docs = root / "docs"
    shutil.copytree(docs, folder)
    waiting = [PurePosixPath(path.relative_to(root)) for path in sorted(docs.rglob("*.md"))]
    done: set[PurePosixPath] = set()
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done.add(source)
        page = folder / page_of(source, root)
        page.parent.mkdir(parents=True, exist_ok=True)
        text, beside = _page(root, source)
        page.write_text(text, encoding="utf-8")
        waiting += beside
    return frozenset(source for source in done if source.parts[0] != "docs")


def page_of(source: PurePosixPath, root: Path) -> PurePosixPath:
    """Where a file or folder of the repository is a page of the site."""
    if source == PurePosixPath("README.md"):
        return PurePosixPath("README.md")
    if source.parts[0] == "docs":
        return source.relative_to("docs")
    if (root / source).is_dir():
        return _BESIDE / source / "README.md"
    return _BESIDE / (source if source.suffix == ".md" else f"{source}.md")


def _page(root: Path, source: PurePosixPath) -> tuple[str, list[PurePosixPath]]:
    path = root / source
    if source.suffix == ".md":
        return _with_links_of_the_site(path.read_text(encoding="utf-8"), source, root)
    if path.is_dir():
        return _folder(root, source), []
    text = path.read_text(encoding="utf-8")
    language = _LEXERS.get(source.suffix, "text")
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"# {source}\n\n{ticks}{language}\n{text.rstrip()}\n{ticks}\n", []


def _folder(root: Path, source: PurePosixPath) -> str:
    names = sorted(
        path.relative_to(root / source).as_posix()
        for path in (root / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    return "\n".join(
        [f"# {source}/", "", "Files of this folder of the repository:", ""]
        + [f"- `{name}`" for name in names]
        + [""]
    )


def _with_links_of_the_site(
    text: str, source: PurePosixPath, root: Path
) -> tuple[str, list[PurePosixPath]]:
    beside: list[PurePosixPath] = []

    def of_the_site(link: re.Match[str]) -> str:
        path = (root / source.parent / link["target"]).resolve()
        if not path.exists() or not path.is_relative_to(root):
            raise FileNotFoundError(f"{source} links to {link['target']}, which is not there")
        target = PurePosixPath(path.relative_to(root))
        if path.is_dir() and (path / "README.md").exists():
            target /= "README.md"
        if target.parts[0] == "docs" and source.parts[0] == "docs":
            return link[0]
        if target != PurePosixPath("README.md") and target.parts[0] != "docs":
            beside.append(target)
        here = page_of(source, root).parent
        return f"]({relpath(page_of(target, root), here)}{link['anchor'] or ''})"

    parts = [_LINK.sub(of_the_site, part) if prose else part for part, prose in _parts(text)]
    return "".join(parts), beside


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, and whether each is prose; a code block is not."""
    end = 0
    for fence in _FENCE.finditer(text):
        yield text[end : fence.start()], True
        yield fence[0], False
        end = fence.end()
    yield text[end:], True
