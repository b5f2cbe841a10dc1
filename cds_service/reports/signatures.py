# SPDX-License-Identifier: Apache-2.0
"""Which format a file has, by the mark at its beginning."""

_ZIP = b"PK\x03\x04"
_OPENDOCUMENT = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"  # its first entry
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")  # PNG, JPEG, TIFF


def is_pdf(data: bytes) -> bool:
    """Whether a file is a PDF."""
    return b"%PDF-" in data[:1024]


def is_paged(data: bytes) -> bool:
    """Whether a file is a PDF or a picture, whose rows have to be seen by a person."""
    return is_pdf(data) or data.startswith(_PICTURES)


def is_compound(data: bytes) -> bool:
    """Whether a file is a workbook as XLS, or one as XLSX with a password."""
    return data.startswith(_COMPOUND)


def is_opendocument(data: bytes) -> bool:
    """Whether a file is a spreadsheet of OpenDocument (ODS)."""
    return data.startswith(_ZIP) and data[30:].startswith(_OPENDOCUMENT)


def is_workbook(data: bytes) -> bool:
    """Whether a file is a workbook (XLSX), or another archive, which its reader refuses."""
    return data.startswith(_ZIP) and not is_opendocument(data)
