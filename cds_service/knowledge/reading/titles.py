# SPDX-License-Identifier: Apache-2.0
"""`titles.LANGUAGE.yaml` of a pack: what its markers, orders and rules are called in a language.

A thing without a title there keeps the title of its own file.
"""

import re
from collections.abc import Iterator, Mapping

from cds_service.knowledge.model.messages import Titles
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.translation import TITLED
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Document

_NAME = re.compile(r"titles\.([a-z]{2,3}(?:-[A-Za-z0-9]+)*)\.yaml")


def language_of_titles(name: str) -> str | None:
    """The language of a file of titles by its name, or `None` for any other file.

    >>> language_of_titles("titles.de.yaml")
    'de'
    """
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def read_titles(document: Document) -> tuple[Titles, list[Problem]]:
    """The titles of a file by section and id, and the problems of its form."""
    titles: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    for section, entries in document.data.items() if isinstance(document.data, dict) else ():
        if section not in TITLED:
            mark = document.key_mark((section,))
            problems.append(Problem("K104", mark, f"there are no '{section}'", ", ".join(TITLED)))
        elif not isinstance(entries, dict):
            mark = document.mark((section,))
            problems.append(Problem("K106", mark, "expected titles, each with the id of its thing"))
        else:
            titles[section] = {
                name: title for name, title in entries.items() if isinstance(title, str) and title
            }
            problems.extend(
                Problem("K106", document.mark((section, name)), "expected a title")
                for name in entries.keys() - titles[section].keys()
            )
    return titles, problems


def check_titles(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """A problem for each title of something that the pack does not have; documents by language."""
    for language, titles in pack.titles.items():
        for section, entries in titles.items():
            known = getattr(pack, section.replace(" ", "_"))
            for name in entries.keys() - known.keys():
                mark = documents[language].key_mark((section, name))
                yield Problem("K301", mark, f"there is no '{name}'", nearest(name, known))
