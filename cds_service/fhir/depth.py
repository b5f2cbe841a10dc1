# SPDX-License-Identifier: Apache-2.0
"""How deep JSON is nested, told without decoding it.

What is left of a text without its strings and everything but brackets is stripped of its innermost
pairs, round by round; each round is one level. All of it runs at the speed of `bytes` methods.
"""

import re

_BRACES = bytes.maketrans(b"[]", b"{}")
_NOT_SHAPE = bytes(set(range(256)) - set(b'{}[]"\\'))
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_TEXT = re.compile(rb'"[^"]*"')


def is_deeper(text: bytes, most: int) -> bool:
    """Whether objects and arrays are nested in more than `most` levels.

    What is no JSON may be either; whoever decodes it will say so.
    """
    if text.count(b"{") + text.count(b"[") <= most:
        return False
    shape = _ESCAPED.sub(b"", text) if b"\\" in text else text
    # Of most strings only the quotes are left; a pair of them tells nothing, wherever it stands.
    shape = shape.translate(_BRACES, _NOT_SHAPE).replace(b'""', b"")
    shape = _TEXT.sub(b"", shape)
    for _ in range(most):
        stripped = shape.replace(b"{}", b"")
        if len(stripped) == len(shape):
            break
        shape = stripped
    return b"{" * (most + 1) in shape or b"{}" in shape
