# SPDX-License-Identifier: Apache-2.0
"""The drawn scale of bands as boxes and labels: horizontal for wide screens, vertical for narrow.

Every band is drawn equally wide, so that a narrow one can be read; the drawing says so.
"""

from dataclasses import dataclass

from cds_service.explanation.scale import ScaleView

_WIDE = 720
_EDGE = 12
_SIGN = 9.0  # width of a letter of a label, and some air
_STEP = 52  # height of a band on the vertical scale


@dataclass(frozen=True, slots=True)
class Box:
    """One band: its place, its label's place, and whether the value lies in it."""

    x: float
    y: float
    width: float
    height: float
    title: str
    range: str
    current: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The title on one line, or on two if it is long for its box."""
        words = self.title.split()
        if len(words) < 2 or len(self.title) * _SIGN <= self.width:
            return (self.title,) if words else ()
        cuts = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
        return min(cuts, key=lambda cut: max(map(len, cut)))


@dataclass(frozen=True, slots=True)
class Tick:
    """The number at a boundary."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the value lies; `anchor` keeps its label inside; -1 and 1 point at an open end."""

    at: float
    anchor: str
    towards: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that the template writes down."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    ticks: tuple[Tick, ...]
    pointer: Pointer | None


def horizontal(scale: ScaleView) -> Drawing:
    """The scale from left to right."""
    each = (_WIDE - 2 * _EDGE) / len(scale.bands)
    return Drawing(
        width=_WIDE,
        height=124,
        boxes=tuple(
            Box(
                _rounded(_EDGE + n * each),
                46,
                _rounded(each),
                38,
                band.title,
                band.range,
                band.current,
            )
            for n, band in enumerate(scale.bands)
        ),
        ticks=tuple(
            Tick(_rounded(_EDGE + (n + 1) * each), text) for n, text in enumerate(scale.edges)
        ),
        pointer=_pointer(scale, _EDGE, _WIDE - 2 * _EDGE),
    )


def vertical(scale: ScaleView) -> Drawing:
    """The scale from bottom to top."""
    count = len(scale.bands)
    height = count * _STEP
    boxes = tuple(
        Box(124, _EDGE + (count - 1 - n) * _STEP, 24, _STEP, band.title, band.range, band.current)
        for n, band in enumerate(scale.bands)
    )
    pointer = _pointer(scale, 0, height)
    if pointer is not None:
        pointer = Pointer(_rounded(_EDGE + height - pointer.at), "end", pointer.towards)
    return Drawing(372, height + 2 * _EDGE, boxes, (), pointer)


def _pointer(scale: ScaleView, start: float, length: float) -> Pointer | None:
    if scale.place is None:
        return None
    anchor = "start" if scale.place < 0.12 else "end" if scale.place > 0.88 else "middle"
    towards = -1 if scale.open_below else 1 if scale.open_above else 0
    return Pointer(_rounded(start + scale.place * length), anchor, towards)


def _rounded(value: float) -> float:
    return round(value, 1)
