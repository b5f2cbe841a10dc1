# SPDX-License-Identifier: Apache-2.0
"""`messages.LANGUAGE.yaml`: the sentences that the cards of all rules share.

They lie in the folder of a pack, or in the folder of all packs; where neither has the language,
those that came with the service count. A file has every message, each with the placeholders of
`model.messages` and no others, and passes the wording rules of card texts.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from cds_service.knowledge.model.messages import KEYS, PLACEHOLDERS, Messages
from cds_service.knowledge.reading.text_wording import wording_faults
from cds_service.settings import Settings, cards_folder
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Document, parse, read_text
from cds_service.text_templates import TextError, placeholders

_NAME = re.compile(r"messages\.([a-z]{2,3}(?:-[A-Za-z0-9]+)*)\.yaml")
_PLACEHOLDER = re.compile(r"{{\s*([a-z_]+)\s*}}")


def is_messages_file(name: str) -> bool:
    """Whether a file of this name holds messages.

    >>> is_messages_file("messages.de.yaml")
    True
    """
    return _NAME.fullmatch(name) is not None


def messages_for(folder: Path, shown: str) -> tuple[dict[str, Messages], list[Problem]]:
    """The messages of the pack in a folder, by language, and the problems of its own files.

    A language comes whole from one file: the pack's, else that of the folder around it, else the
    service's. `shown` is the path of the folder as the user gave it.
    """
    messages = dict(_shipped())
    problems: list[Problem] = []
    around = "/".join(shown.split("/")[:-1])
    for place, prefix in ((folder.parent, around), (folder, shown)):
        for path in sorted(place.glob("messages.*.yaml")):
            text = read_text(path, f"{prefix}/{path.name}".lstrip("/") if prefix else path.name)
            if isinstance(text, Problem):
                problems.append(text)
                continue
            language, faults = read_messages(text, f"{prefix}/{path.name}" if prefix else path.name)
            problems.extend(faults)
            if language is not None:
                messages[language.language] = language
    return messages, problems


def read_messages(text: str, shown: str) -> tuple[Messages | None, list[Problem]]:
    """The messages of a file, or the problems that keep them from being used."""
    document, problems = parse(text, shown)
    formats: dict[str, str] = {}
    for key, at, message in _entries(document, problems):
        formats[key] = _format(message)
        problems.extend(_problems_of(key, message, at, document))
    problems.extend(
        Problem("K105", document.mark(()), f"the message '{key}' is missing", "write it")
        for key in sorted(KEYS - formats.keys())
    )
    match = _NAME.fullmatch(shown.rsplit("/", 1)[-1])
    if problems or match is None:
        return None, problems
    return Messages(match[1], formats), []


@cache
def _shipped() -> Mapping[str, Messages]:
    """The messages that came with the service; a test reads the files without a problem."""
    languages = {}
    for path in sorted(cards_folder(Settings()).glob("messages.*.yaml")):
        messages, _ = read_messages(path.read_text(encoding="utf-8"), path.name)
        if messages is not None:
            languages[messages.language] = messages
    return languages


def _entries(
    document: Document, problems: list[Problem]
) -> Iterator[tuple[str, tuple[str, str], str]]:
    """Each message that may be there: its key, its place and its text."""
    sections = document.data if isinstance(document.data, dict) else {}
    for section, messages in sections.items():
        if not isinstance(messages, dict):
            mark = document.mark((section,))
            problems.append(Problem("K106", mark, "expected messages, each with its name"))
            continue
        for name, message in messages.items():
            key, at = f"{section}.{name}", (section, name)
            if key not in KEYS:
                remedy = nearest(key, KEYS)
                mark = document.key_mark(at)
                problems.append(Problem("K104", mark, f"there is no message '{key}'", remedy))
            elif not isinstance(message, str) or not message:
                problems.append(Problem("K106", document.mark(at), "expected a text"))
            else:
                yield key, at, message


def _problems_of(
    key: str, message: str, at: tuple[str, str], document: Document
) -> Iterator[Problem]:
    for code, _, fault, remedy in wording_faults(message):
        yield Problem(code, document.mark(at), fault, remedy)
    try:
        names = {str(placeholder) for placeholder in placeholders(message)}
    except TextError as error:
        yield Problem("K501", document.mark(at), str(error))
        return
    expected = PLACEHOLDERS.get(key, frozenset())  # type: ignore[call-overload]
    if names != expected:
        wanted = ", ".join(f"{{{{ {name} }}}}" for name in sorted(expected)) or "none"
        fault = "the placeholders are not those of this message"
        yield Problem("K501", document.mark(at), fault, wanted)


def _format(message: str) -> str:
    """The message as a format string of `str.format`: single braces are text."""
    pieces = _PLACEHOLDER.split(message)
    return "".join(
        f"{{{piece}}}" if number % 2 else piece.replace("{", "{{").replace("}", "}}")
        for number, piece in enumerate(pieces)
    )
