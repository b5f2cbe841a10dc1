# SPDX-License-Identifier: Apache-2.0
"""What a folder of knowledge holds: every file as plain data, before any of it is linked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cds_service.knowledge.model.explainers import Explainer
from cds_service.knowledge.model.messages import Messages
from cds_service.knowledge.model.pack import CardText
from cds_service.knowledge.reading.explainers import read_explainer
from cds_service.knowledge.reading.messages import is_messages_file, messages_for
from cds_service.knowledge.reading.rules import read_card_text
from cds_service.knowledge.reading.spellings import SPELLINGS_FILE, Spellings, spellings_for
from cds_service.knowledge.reading.titles import language_of_titles
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import Data, Document, parse, read_text

FOLDERS = ("markers", "measures", "facts", "patterns", "orders", "rules")
EXPLAIN = "explain"
SINGLE = ("pack.yaml", "units.yaml", "sources.yaml")
OPTIONAL = ("remarks.yaml",)
_IGNORED = {"README.md", "CHANGELOG.md", "lock.json", SPELLINGS_FILE}
_TEXT_PARTS = 3  # stem, language, md
_BELONGING = (
    "markers, measures, facts, patterns, orders and rules hold .yaml; rules and explain hold"
    " .LANGUAGE.md"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFiles:
    """What a folder holds: documents and card texts by path inside the folder."""

    shown: str
    documents: Mapping[str, Document]
    texts: Mapping[str, CardText] = field(default_factory=dict)
    explainers: tuple[Explainer, ...] = ()
    messages: Mapping[str, Messages] = field(default_factory=dict)  # by language
    titles: Mapping[str, Document] = field(default_factory=dict)  # by language
    spellings: Spellings = field(default_factory=Spellings)
    problems: tuple[Problem, ...] = ()

    def having(self, path: str, data: Data) -> "PackFiles":
        """The same files with other data in one of them."""
        changed = replace(self.documents[path], data=data)
        return replace(self, documents={**self.documents, path: changed})

    def of(self, folder: str) -> Iterator[tuple[str, Document]]:
        """The documents of one folder, in order of their paths."""
        for path in sorted(self.documents):
            if path.startswith(f"{folder}/"):
                yield path, self.documents[path]


def pack_folders(cards: Path) -> tuple[Path, ...]:
    """The folder itself if it is a pack, else every folder in it that holds a `pack.yaml`."""
    if (cards / "pack.yaml").is_file():
        return (cards,)
    if not cards.is_dir():
        return ()
    return tuple(sorted(path.parent for path in cards.glob("*/pack.yaml")))


def read_files(folder: Path, shown: str) -> PackFiles:
    """Every file of the folder as plain data; problems of form are kept with it."""
    documents: dict[str, Document] = {}
    titles: dict[str, Document] = {}
    texts: dict[str, CardText] = {}
    explainers: list[Explainer] = []
    problems: list[Problem] = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        inside = path.relative_to(folder).as_posix()
        if inside.split("/", maxsplit=1)[0] in _IGNORED or path.name.startswith("."):
            continue
        if is_messages_file(inside):
            continue
        where = f"{shown}/{inside}"
        if not _belongs(inside):
            problems.append(
                Problem("K109", Mark(where, 1, 1), "no file of this kind belongs here", _BELONGING)
            )
            continue
        text = read_text(path, where)
        if isinstance(text, Problem):
            problems.append(text)
        elif (language := language_of_titles(inside)) is not None:
            titles[language], more = parse(text, where)
            problems.extend(more)
        elif inside.startswith(f"{EXPLAIN}/"):
            explainer, more = read_explainer(text, where)
            problems.extend(more)
            explainers.extend([explainer] if explainer else [])
        elif inside.endswith(".md"):
            language = path.name.split(".")[-2]
            card_text, more = read_card_text(text, where, language)
            problems.extend(more)
            if card_text is not None:
                texts[inside] = card_text
        else:
            documents[inside], more = parse(text, where)
            problems.extend(more)
    problems.extend(
        Problem("K108", Mark(f"{shown}/{name}", 1, 1), "is missing")
        for name in SINGLE
        if name not in documents and not (folder / name).is_file()
    )
    messages, faults = messages_for(folder, shown)
    problems.extend(faults)
    spellings, faults = spellings_for(folder, shown)
    problems.extend(faults)
    return PackFiles(
        shown=shown,
        documents=documents,
        texts=texts,
        explainers=tuple(explainers),
        messages=messages,
        titles=titles,
        spellings=spellings,
        problems=tuple(problems),
    )


def _belongs(inside: str) -> bool:
    parts = inside.split("/")
    if len(parts) == 1:
        return inside in (*SINGLE, *OPTIONAL) or language_of_titles(inside) is not None
    if len(parts) != 2:
        return False
    pieces = parts[1].split(".")
    if len(pieces) == _TEXT_PARTS and pieces[-1] == "md":
        return parts[0] in {"rules", EXPLAIN}
    return parts[0] in FOLDERS and parts[1].endswith(".yaml")
