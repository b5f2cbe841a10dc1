# SPDX-License-Identifier: Apache-2.0
"""Pages of a PDF -> pictures, beside which a person compares what was read."""

import io
from collections.abc import Iterable
from typing import Final

from cds_service.reports.bounded import PagePicture

_MOST: Final = 6  # pages
_PIXELS: Final = 1000  # of the longer side
_QUALITY: Final = 70


def draw_pages(data: bytes, pages: Iterable[int]) -> tuple[PagePicture, ...]:
    """The pictures of these pages, from 1 on, as far as there are not too many."""
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    found: list[PagePicture] = []
    for number in sorted(set(pages))[:_MOST]:
        page = document[number - 1]
        width, height = page.get_size()
        bitmap = page.render(scale=_PIXELS / max(width, height), may_draw_forms=False)
        held = io.BytesIO()
        bitmap.to_pil().convert("RGB").save(held, "JPEG", quality=_QUALITY)
        found.append(PagePicture(page=number, width=width, height=height, jpeg=held.getvalue()))
    return tuple(found)
