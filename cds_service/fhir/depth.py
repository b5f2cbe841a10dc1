# SPDX-License-Identifier: Apache-2.0
"""How deep JSON is nested, found without decoding it.

Nothing here goes down into the levels: each step is a pass over the bytes, and a body made to be
slow or to take memory costs no more than a few passes.
"""

from array import array
from itertools import accumulate

_BRACES = bytes.maketrans(b"[]", b"{}")
_NOT_SHAPE = bytes(set(range(256)) - set(b'{}[]"'))
_STEPS = bytes.maketrans(b"{}", b"\x01\xff")  # one level down; as a signed byte, one up
_PIECE = 65536
_SHORT = 4096


def is_deeper(text: bytes, most: int) -> bool:
    """Whether objects and arrays are nested in more than `most` levels.

    The result is undefined for invalid JSON; the decoder reports that.
    """
    # Of one resource, of which populations have millions, to count what opens is far cheaper.
    if len(text) < _SHORT and text.count(b"{") + text.count(b"[") <= most:
        return False
    shape, struck = _shape(text), 0
    while struck + shape.count(b"{") > most:
        if struck == most:
            return True
        # Each round takes the innermost level of all. What hardly shrinks is counted one by one.
        fewer = shape.replace(b"{}", b"")
        if len(fewer) * 8 > len(shape) * 7:
            return struck + max(accumulate(array("b", shape.translate(_STEPS)))) > most
        shape, struck = fewer, struck + 1
    return False


def _shape(text: bytes) -> bytes:
    """The brackets outside of strings, all of them as braces."""
    if b"\\" in text:  # before anything is left out: \n and \" would become neighbours
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    shape = text.translate(_BRACES, _NOT_SHAPE)
    # Of most strings only the quotes are left; a pair of them tells nothing, wherever it stands.
    shape = shape.replace(b'""', b"")
    return _outside(shape) if b'"' in shape else shape


def _outside(shape: bytes) -> bytes:
    """What stands outside of quotes; piece by piece, as each part is an object in memory."""
    kept: list[bytes] = []
    inside = 0
    for begin in range(0, len(shape), _PIECE):
        parts = shape[begin : begin + _PIECE].split(b'"')
        kept.append(b"".join(parts[inside::2]))
        inside = (inside + len(parts) - 1) % 2
    return b"".join(kept)
