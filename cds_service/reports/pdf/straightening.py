# SPDX-License-Identifier: Apache-2.0
"""How far a scanned page is askew, and the page set straight."""

from dataclasses import dataclass
from itertools import pairwise
from math import cos, radians, sin
from typing import TYPE_CHECKING, Final

from cds_service.reports.report import Place

if TYPE_CHECKING:
    from PIL.Image import Image

_SMALL: Final = 900  # pixels of the longer side, enough to see where lines are
_MOST: Final = 5.0  # degrees
_COARSE: Final = 0.5
_FINE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Straightening:
    """By how many degrees a page was turned to be straight, around which point of it."""

    angle: float
    x: float
    y: float

    def undone(self, place: Place) -> Place:
        """A place of the straight page as one of the page as it was scanned."""
        turn = radians(self.angle)
        corners = [
            (
                self.x + (x - self.x) * cos(turn) - (y - self.y) * sin(turn),
                self.y + (x - self.x) * sin(turn) + (y - self.y) * cos(turn),
            )
            for x in (place.x0, place.x1)
            for y in (place.top, place.bottom)
        ]
        return Place(
            page=place.page,
            x0=min(x for x, _ in corners),
            top=min(y for _, y in corners),
            x1=max(x for x, _ in corners),
            bottom=max(y for _, y in corners),
        )


def skew_of(picture: "Image") -> float:
    """The degrees by which to turn a grey picture so that its lines are level; 0 if it is."""
    scale = min(1.0, _SMALL / max(picture.size))
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    steps = round(_MOST / _COARSE)
    coarse = max((n * _COARSE for n in range(-steps, steps + 1)), key=lambda a: _level(small, a))
    near = round(_COARSE / _FINE)
    fine = (coarse + n * _FINE for n in range(-near, near + 1))
    best = max(fine, key=lambda angle: _level(small, angle))
    return 0.0 if abs(best) < _FINE else round(best, 2)


def _level(picture: "Image", angle: float) -> float:
    """How much rows of pixels differ from the next: most where lines of print are level."""
    rows = straightened(picture, angle).resize((1, picture.height))
    return sum(float(above - below) ** 2 for above, below in pairwise(rows.tobytes()))


def straightened(picture: "Image", angle: float) -> "Image":
    """The picture turned to the left by some degrees, on white."""
    from PIL.Image import Resampling

    return picture.rotate(angle, Resampling.BICUBIC, fillcolor=255) if angle else picture
