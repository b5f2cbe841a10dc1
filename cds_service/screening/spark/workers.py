# SPDX-License-Identifier: Apache-2.0
"""What the Python workers of Spark do with the rows of a partition, in Arrow batches.

Each function is the work of one `mapInArrow`. An error names its type and nothing else, for Spark
writes it to its logs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import md5
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit
from zlib import crc32

import msgspec

from cds_service.errors import CdsServiceError
from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.documents import DocumentLine
from cds_service.screening.output import counts_of
from cds_service.screening.run import mark_of
from cds_service.screening.scans import SHARED
from cds_service.screening.spark.flatten import (
    UNKNOWN,
    UNREADABLE,
    LineHead,
    flat,
    head_of,
    is_read,
)
from cds_service.screening.workers import Batch, decide_batch
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import Settings
from cds_service.sources.lines import ResourceText

Batches = Iterator[Any]
Work = Callable[[Batches], Batches]
OTHER_KNOWLEDGE: Final = "A worker of Spark has other packs than this machine"

LINE: Final = {
    "kind": "string",
    "base": "string",
    "name": "string",
    "is_odd": "boolean",
    "is_document": "boolean",
    "bad_file": "string",
    "form": "string",
    "form_text": "string",
    "number": "bigint",
    "begins": "bigint",
    "ends": "bigint",
    "by_day": "boolean",
    "issued": "bigint",
    "is_born_oddly": "boolean",
    "gender": "string",
    "birth": "string",
}
KEPT: Final = {
    "batch": "bigint",
    "patient": "string",
    "kind": "string",
    "text": "string",
    "address": "string",
    "shared": "string",
    "shared_id": "string",
}
SHARED_ROW: Final = {"id": "string", "address": "string", "text": "string"}
DECIDED: Final = {"batch": "bigint", "lines": "binary", "counts": "string"}
_ARROW: Final = {"string": "string", "boolean": "bool_", "bigint": "int64", "binary": "binary"}
_MOST_FORMS: Final = 20_000  # that a task remembers to have sent
_LONGEST_FORM: Final = 2048  # bytes of one that is remembered itself; of a longer one the name is
_BITS = 16  # of the filter for each patient: one in sixteen is let through in vain
_ENCODER = msgspec.json.Encoder()


class _Medicine(msgspec.Struct):
    reference: str | None = None


class _Request(msgspec.Struct):
    medicationReference: _Medicine | None = None  # noqa: N815 - the name on the wire


_DOCUMENT_LINE = msgspec.json.Decoder(DocumentLine)
_REQUEST = msgspec.json.Decoder(_Request)


class WorkerError(Exception):
    """What went wrong in a worker, without a value of a patient."""


def work_of(work: Callable[..., Batches], *given: Any) -> Work:
    """`work(batches, *given)` for Spark, of which an error says its type alone."""

    # Spark sends this function as it is, and those that it names by their names.
    def done(batches: Batches) -> Batches:
        return _discreetly(work(batches, *given))

    return done


def _discreetly(batches: Batches) -> Batches:
    try:
        yield from batches
    except WorkerError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold a value
        raise WorkerError(type(error).__name__) from None


def flatten_lines(batches: Batches, read: bool) -> Batches:
    """Lines -> `LINE`; without `read` whose they are and no more."""
    sent: dict[bytes, str] = {}
    for batch in batches:
        yield _made(LINE, [_line(given, sent, read=read) for given in _lines(batch)])


class _Given(NamedTuple):
    """A line that is not blank; no text if it is none, and no file if a document had it."""

    text: str | None
    file: str | None = None
    owner: str | None = None
    address: str | None = None


def _lines(batch: Any) -> Iterator[_Given]:
    columns = (batch.column(name).to_pylist() for name in ("value", "file"))
    for value, file in zip(*columns, strict=True):
        if file is None:
            line = _DOCUMENT_LINE.decode(value)
            yield _Given(line.text, None, line.owner, line.address)
        elif value is None:  # a row of Parquet without a text
            yield _Given(None, file)
        elif data := value.strip(b" \t\r\n"):
            yield _Given(_decoded(data), file)


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _line(given: _Given, sent: dict[bytes, str], *, read: bool) -> tuple[Any, ...]:
    text, file = given.text, given.file
    head = UNREADABLE if text is None else head_of(text, given.owner)
    found = flat(text) if read and text is not None and is_read(head.kind) else UNKNOWN
    form = form_text = None
    if found.form is not None:
        form, is_new = named_form(found.form, sent)
        form_text = found.form.decode() if is_new else None
    return (
        head.kind,
        head.base,
        head.owner if is_read(head.kind) else None,
        head.is_odd,
        file is None,
        unquote(urlsplit(file).path) if file is not None and head.kind is None else None,
        form,
        form_text,
        *found[1:],
        head.gender,
        head.birth,
    )


def named_form(form: bytes, sent: dict[bytes, str]) -> tuple[str, bool]:
    """The name of a form, and whether it is not among the `sent` ones yet; it is from then on."""
    name = sent.get(form)
    if name is not None:
        return name, False
    name = md5(form, usedforsecurity=False).hexdigest()
    kept = form if len(form) <= _LONGEST_FORM else name.encode()
    if kept in sent:
        return name, False
    if len(sent) == _MOST_FORMS:
        sent.clear()
    sent[kept] = name
    return name, True


class PatientFilter:
    """A few bits a patient, that let all of these through and few of the others."""

    def __init__(self, patients: Iterable[str], count: int) -> None:
        self._size = max(64, count * _BITS)
        bits = bytearray(self._size // 8 + 1)
        for patient in patients:
            place = crc32(patient.encode()) % self._size
            bits[place >> 3] |= 1 << (place & 7)
        self._bits = bytes(bits)

    def __contains__(self, patient: str) -> bool:
        place = crc32(patient.encode()) % self._size
        return bool(self._bits[place >> 3] >> (place & 7) & 1)


def patient_of(head: LineHead, *, several: bool) -> str | None:
    """The patient that a line is about, named with the server where there are several."""
    return f"{head.base}/{head.owner}" if several and head.base else head.owner


def batch_of(patient: str, count: int) -> int:
    """The batch of a patient, by the id and the number of batches alone, as DuckDB has it."""
    digest = md5(patient.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little") % count


def texts_of(
    batches: Batches, chosen: Any, count: int, left: frozenset[int], several: bool
) -> Batches:
    """Lines -> `KEPT` of those patients in the broadcast filter whose batch is left."""
    wanted = chosen.value
    for batch in batches:
        rows = []
        for text, _, owner, address in _lines(batch):
            if text is None:
                continue
            head = head_of(text, owner)
            patient = patient_of(head, several=several)
            if patient is None or not is_read(head.kind):
                continue
            if wanted is not None and patient not in wanted:
                continue
            number = batch_of(patient, count)
            if number in left:
                rows.append((number, patient, head.kind, text, address, *_medicine(text)))
        yield _made(KEPT, rows)


def _medicine(text: str) -> tuple[str | None, str | None]:
    """The medicine that a resource refers to, and its id."""
    if "medicationReference" not in text:
        return None, None
    try:
        found = _REQUEST.decode(text).medicationReference
    except (msgspec.DecodeError, RecursionError):
        return None, None
    if found is None or found.reference is None:
        return None, None
    return found.reference, found.reference.partition("/_history/")[0].rpartition("/")[2]


def shared_texts(batches: Batches) -> Batches:
    """Lines -> `SHARED_ROW`: the medicines that requests refer to."""
    for batch in batches:
        rows = []
        for text, _, _, address in _lines(batch):
            if text is not None:
                head = head_of(text)
                if head.kind == SHARED:
                    rows.append((head.id, address, text))
        yield _made(SHARED_ROW, rows)


def decide(batches: Batches, question: ScreeningQuestion, settings: Settings, mark: str) -> Batches:
    """`KEPT` in the order of batches and patients -> `DECIDED`, a row a batch."""
    rows = _rows(batches, ("batch", "patient", "kind", "text", "address"))
    for number, group in groupby(rows, key=itemgetter(0)):
        patients = tuple(
            (patient, tuple(ResourceText(*row[2:]) for row in each))
            for patient, each in groupby(group, key=itemgetter(1))
        )
        found = decide_batch(_knowledge(settings, mark), Batch(number, patients), question)
        counts = _ENCODER.encode(counts_of(found.tally)).decode()
        yield _made(DECIDED, [(number, found.lines, counts)])


def _rows(batches: Batches, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


_loaded: dict[str, Knowledge] = {}


def _knowledge(settings: Settings, mark: str) -> Knowledge:
    """The packs, loaded once in each worker; they have to be those of the machine that asks."""
    found = _loaded.get(mark)
    if found is None:
        try:
            found = load_knowledge(settings)
        except CdsServiceError:
            raise WorkerError(OTHER_KNOWLEDGE) from None
        if mark_of(found) != mark:
            raise WorkerError(OTHER_KNOWLEDGE)
        _loaded[mark] = found
    return found


def _made(columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> Any:
    import pyarrow as pa

    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [
        pa.array(each, getattr(pa, _ARROW[kind])())
        for each, kind in zip(values, columns.values(), strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
