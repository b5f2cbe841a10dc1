# SPDX-License-Identifier: Apache-2.0
"""Pages of a PDF, and files that are pictures -> pictures to be read or to be shown."""

import io
from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.reports.bounded import PagePicture
from cds_service.reports.signatures import is_pdf

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST: Final = 6  # pages
_PIXELS: Final = 1000  # of the longer side, to be shown
_PIXELS_OF_SCANS: Final = 2000  # every point of which has to be seen
_TO_READ: Final = 3300
_MOST_PIXELS: Final = 60_000_000  # of a file that is a picture
_QUALITY: Final = 70
_PAGE: Final = 842.0  # points of the longer side of a picture: those of A4
_FORMATS: Final = ("PNG", "JPEG", "TIFF")


class ScannedPage(NamedTuple):
    """A picture of a page, its number, and its width in points."""

    picture: "Image"
    page: int
    width: float


def page_picture(data: bytes, number: int) -> ScannedPage:
    """A page of a PDF as a picture, to be read."""
    import pypdfium2

    page = pypdfium2.PdfDocument(data)[number - 1]
    width, height = page.get_size()
    bitmap = page.render(scale=_TO_READ / max(width, height), grayscale=True)
    return ScannedPage(bitmap.to_pil(), number, width)


def pictures_of(data: bytes) -> Iterator[ScannedPage]:
    """The pages of a file that is a picture, upright as its camera says; raises `RequestError`."""
    from PIL import Image, ImageOps, ImageSequence

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as file:
            for number, frame in enumerate(ImageSequence.Iterator(file), start=1):
                if frame.width * frame.height > _MOST_PIXELS:
                    raise PayloadTooLarge(f"Expected a picture of at most {_MOST_PIXELS:,} pixels.")
                upright = ImageOps.exif_transpose(_on_white(frame))
                yield ScannedPage(upright, number, _points(upright)[0])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise RequestError("Expected a picture that is whole.") from None


def _on_white(picture: "Image") -> "Image":
    """A grey picture, with white where it is transparent."""
    from PIL import Image

    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("L")
    own = picture.convert("RGBA")
    white = Image.new("RGBA", own.size, "white")
    return Image.alpha_composite(white, own).convert("L")


def _points(picture: "Image") -> tuple[float, float]:
    scale = _PAGE / max(picture.size)
    return picture.width * scale, picture.height * scale


def draw_pages(data: bytes, pages: Iterable[int], scans: Container[int]) -> tuple[PagePicture, ...]:
    """The pictures of these pages, from 1 on, as far as there are not too many; scans are finer."""
    wanted = sorted(set(pages))[:_MOST]
    sides = {number: _PIXELS_OF_SCANS if number in scans else _PIXELS for number in wanted}
    if is_pdf(data):
        return tuple(_drawn(data, number, side) for number, side in sides.items())
    return tuple(
        _shown(picture.picture, picture.page, _points(picture.picture), _PIXELS_OF_SCANS)
        for picture in pictures_of(data)
        if picture.page in wanted
    )


def _drawn(data: bytes, number: int, side: int) -> PagePicture:
    import pypdfium2

    page = pypdfium2.PdfDocument(data)[number - 1]
    size = page.get_size()
    bitmap = page.render(scale=side / max(size), may_draw_forms=False)
    return _shown(bitmap.to_pil(), number, size, side)


def _shown(picture: "Image", number: int, size: tuple[float, float], side: int) -> PagePicture:
    held = io.BytesIO()
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    small.save(held, "JPEG", quality=_QUALITY)
    return PagePicture(page=number, width=size[0], height=size[1], jpeg=held.getvalue())
