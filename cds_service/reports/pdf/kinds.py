# SPDX-License-Identifier: Apache-2.0
"""Words that make a test another one: the `direct` of a bilirubin, the `bone` of a phosphatase.

They may stand below or beside a name, far from it. What they leave open is no result of the test
that the name alone would be.
"""

import re
from typing import Final

from cds_service.plain_words import plain_text, plain_words
from cds_service.reports.vocabulary import names_fluid, names_method

# Whole words, so that no `Director`, `Direktor` or `Osservazioni` is one of them.
_KIND: Final = (
    r"(?:in)?dire(?:ct|kt|tt|t)(?:[aeio]s?|e[mnr])?|(?:in)?dir|(?:un)?[ck]onj|\w*[ck]onjug\w*|"
    r"\w*[ck]oniug\w*|knochen\w*|bone|osse(?:[aeio]s?|ux|uses?)|ose[ao]s?|isoen\w*|isoform\w*|iso"
)
_ITSELF: Final = re.compile(rf"(?:{_KIND})")
_AMONG: Final = re.compile(rf"\b(?:{_KIND})\b")
_BESIDE: Final = re.compile(r"non?|nicht|nao|fra[ck]\w*")
_VARIETY: Final = re.compile(
    rf"\b(?:{_KIND}|frei\w*|free|libre|liber\w*|livre|ratio|quotient|rapport|relac\w*|rapporto|index|"
    r"ma[ck]ro\w*|mi[ck]ro\w*|mitochond\w*|alpha|alfa|pr[ae]\w*|gly\w*|gli\w*|non|nicht|no|mb|mm)\b"
)
_IN_BLOOD: Final = frozenset((("i", "s"), ("i", "p"), ("i", "b")))  # `i.S.`, in serum
_GOES_ON: Final = frozenset("([-–/,+")


def names_kind(text: str) -> bool:
    """Whether a word of a text says which kind of a test it is, whatever the others say."""
    return _AMONG.search(plain_text(text)) is not None


def is_kind(text: str) -> bool:
    """Whether a text says nothing but which kind of a test it is."""
    words = plain_words(text)
    known = [_ITSELF.fullmatch(word) is not None for word in words]
    return any(known) and all(
        is_known or _BESIDE.fullmatch(word) for word, is_known in zip(words, known, strict=True)
    )


def names_variety(text: str) -> bool:
    """Whether a text may say which kind of a test it is: direct, bone, a ratio."""
    return _VARIETY.search(plain_text(text)) is not None


def may_go_on(text: str) -> bool:
    """Whether a line may be the rest of the name above it, however far that is.

    >>> may_go_on("in urine"), may_go_on("(bone)"), may_go_on("Direct")
    (True, True, True)
    >>> may_go_on("Bilirubin direct")
    False
    """
    words = plain_words(text)
    if words in _IN_BLOOD:
        return False
    if words and (text[:1].islower() or text[:1] in _GOES_ON):
        return names_kind(text) or names_fluid(text) or not names_method(text)
    return bool(words) and _ITSELF.fullmatch(words[0]) is not None


def changes_test(beside: str) -> bool:
    """Whether what stands beside a row says that it is of another kind, or of another fluid.

    An electrode may be direct as well (`ISE indirect`); with any other method it is the test.
    """
    is_electrode = "ise" in plain_words(beside)
    return names_fluid(beside) or (names_kind(beside) and not is_electrode)
