# SPDX-License-Identifier: Apache-2.0
"""The words of a text as they are compared with lists: without case, accents and most signs."""

import re
from typing import Final
from unicodedata import combining, normalize

_WORD: Final = re.compile(r"[^\W_]+|[#%+±]")
_SPACED: Final = re.compile(r"(?<!\S)[^\W\d_](?: [^\W\d_]){3,}(?!\w)")


def plain_words(text: str) -> tuple[str, ...]:
    """The words of a text in small letters without accents, those that are spaced out as words.

    >>> plain_words("Né(e) le: 05.03.")
    ('ne', 'e', 'le', '05', '03')
    >>> plain_words("D O N O R: 2")
    ('donor', '2')
    """
    composed = normalize("NFC", text)  # one character for each letter, with its accent
    text = _SPACED.sub(lambda match: match[0].replace(" ", ""), composed)
    plain = "".join(
        character for character in normalize("NFKD", text.casefold()) if not combining(character)
    )
    return tuple(_WORD.findall(plain))


def plain_text(text: str) -> str:
    """The words of a text, a blank between them.

    >>> plain_text("Líquido  ascítico (EDTA)")
    'liquido ascitico edta'
    """
    return " ".join(plain_words(text))
