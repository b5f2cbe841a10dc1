# SPDX-License-Identifier: Apache-2.0
"""Two hundred messages of HL7 v2 with what they say, and how well they are read.

    python -m tests.reports.hl7v2_corpus                    the figures
    python -m tests.reports.hl7v2_corpus --write FOLDER     each message, with its truth as JSON

Patients, laboratories and values are made up. A message is written from its truth, by rules that
the reader does not share: how this laboratory separates, codes, names, compares, dates and groups.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

MESSAGES = 200


@dataclass(frozen=True)
class TrueRow:
    """What a row says; `value` is none where a careful reader would not decide."""

    marker: str | None
    value: str | None
    comparator: str | None = None
    unit: str = ""
    low: str | None = None
    high: str | None = None
    date: str | None = None
    status: str = "final"
    hemolyzed: bool = False


@dataclass(frozen=True)
class TrueMessage:
    """One message, as sent and as meant."""

    data: bytes
    patient_id: str
    rows: tuple[TrueRow, ...]


@dataclass(frozen=True)
class Analyte:
    """A test of a laboratory: its code of LOINC, names of its own, unit, usual values."""

    marker: str | None
    loinc: str
    names: tuple[str, ...]
    unit: str
    values: tuple[str, ...]
    range: tuple[str | None, str | None] = (None, None)


ANALYTES = (
    Analyte("alt", "1742-6", ("ALT", "GPT", "ALAT"), "U/L", ("1", "4", "41", "310.5"), ("7", "40")),
    Analyte("ast", "1920-8", ("AST", "GOT", "ASAT"), "U/L", ("12", "38.0", "95"), (None, "35")),
    Analyte("alp", "6768-6", ("ALP", "Alkaline phosphatase"), "U/L", ("88", "240"), ("40", "129")),
    Analyte(
        "total-bilirubin", "1975-2", ("Total bilirubin",), "mg/dL", ("0.6", "4.25"), ("0.1", "1.2")
    ),
    Analyte("albumin", "1751-7", ("Albumin",), "g/dL", ("2.9", "4.1"), ("3.5", "5.2")),
    Analyte("inr", "6301-6", ("INR",), "", ("1.05", "2.4")),
    Analyte("platelets", "777-3", ("Platelets",), "10*9/L", ("88", "250"), ("150", None)),
    Analyte("ggt", "2324-2", ("GGT",), "U/L", ("18", "410"), (None, "60")),
    Analyte(None, "2160-0", ("Creatinine",), "mg/dL", ("0.82", "1.9"), ("0.6", "1.2")),
    Analyte(None, "718-7", ("Hemoglobin",), "g/dL", ("13.2",), ("12.0", "16.0")),
)


@dataclass
class Laboratory:
    """How one laboratory writes its messages."""

    random: Random
    separators: str = field(init=False)
    end: str = field(init=False)
    comma: bool = field(init=False)
    coded: str = field(init=False)
    zone: str = field(init=False)
    version: str = field(init=False)

    def __post_init__(self) -> None:
        pick = self.random.choice
        self.separators = pick(["|^~\\&"] * 4 + ["|*~\\&", "#^~\\&"])
        self.end = pick(["\r", "\r", "\n", "\r\n"])
        self.comma = pick([False, False, False, True])
        self.coded = pick(["loinc", "second", "name", "text"])
        self.zone = pick(["", "", "+0100", "-0500"])
        self.version = pick(["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"])


def corpus() -> Iterator[TrueMessage]:
    """The messages, the same ones each time."""
    for number in range(MESSAGES):
        yield _message(Laboratory(Random(number)), f"P{number:04}")


def _message(lab: Laboratory, patient: str) -> TrueMessage:
    pick = lab.random.choice
    rest, component = lab.separators[1:], lab.separators[1]
    sep = lab.separators[0]
    minute = f"2026{lab.random.randint(1, 9):02}{lab.random.randint(1, 28):02}0930"
    header = ["MSH", rest, "LAB", "", "", "", f"{minute}00{lab.zone}", ""]
    header += [f"ORU{component}R01", patient, "P", lab.version]
    who = ["PID", "1", "", patient + component * 3 + "LAB", "", f"Test{component}A", ""]
    segments = [sep.join(header), sep.join([*who, "19700504", "M"])]
    panel_status = pick(["", "F"])
    segments.append(
        sep.join(["OBR", "1", "", "", f"PANEL{component}Panel{component}L", "", "", minute])
        + sep * 18
        + panel_status
    )
    rows = []
    for analyte in lab.random.sample(ANALYTES, lab.random.randint(2, 7)):
        written, row = _result(lab, analyte, minute, panel_status)
        segments.extend(written)
        rows.append(row)
    extra = pick([[], ["ZDS" + sep + "x"], ["NTE" + sep + "1" + sep + sep + "Checked."], [""]])
    return TrueMessage(lab.end.join([*segments, *extra, ""]).encode(), patient, tuple(rows))


def _iso(minute: str, zone: str) -> str:
    offset = f"{zone[:3]}:{zone[3:]}" if zone else ""
    return f"{minute[:4]}-{minute[4:6]}-{minute[6:8]}T{minute[8:10]}:{minute[10:12]}{offset}"


def _result(
    lab: Laboratory, analyte: Analyte, minute: str, panel_status: str
) -> tuple[list[str], TrueRow]:
    pick, component, sep = lab.random.choice, lab.separators[1], lab.separators[0]
    low, high = analyte.range
    comparator = pick([None] * 6 + ["<", ">", "<=", ">="])
    kind, field5, value, comparator = _value(lab, pick(analyte.values), comparator)
    status, meant = pick(
        [("F", "final")] * 8
        + [("C", "corrected"), ("P", "preliminary"), ("D", "entered-in-error"), ("X", "cancelled")]
        + [("W", "entered-in-error"), ("", "final" if panel_status == "F" else "unknown")]
    )
    own_minute = pick(["", "", f"{minute[:8]}0815"])
    hemolyzed = pick([False] * 9 + [True])
    unit = analyte.unit
    unit_field = unit and pick([unit, f"{unit}{component * 2}UCUM"])
    fields = [
        "OBX", "1", kind, _test(lab, analyte), "", field5, unit_field, _range(lab, low, high),
        pick(["", "N", "H"]), "", "", status, "", "", own_minute,
    ]  # fmt: skip
    written = [sep.join(fields)]
    if hemolyzed:
        written.append(sep.join(["NTE", "1", "L", pick(["Hemolyzed specimen", "haemolysed +"])]))
    return written, TrueRow(
        marker=analyte.marker,
        value=value,
        comparator=comparator if value else None,
        unit=unit,
        low=low,
        high=high,
        date=_iso(own_minute or minute, lab.zone),
        status=meant,
        hemolyzed=hemolyzed,
    )


def _value(
    lab: Laboratory, value: str, comparator: str | None
) -> tuple[str, str, str | None, str | None]:
    """The type, the field, and what they mean."""
    component, repeat = lab.separators[1], lab.separators[2]
    odd = lab.random.random()
    if odd < 0.03:
        return "SN", f"{component}1{component}:{component}128", None, None
    if odd < 0.06:
        return "TX", lab.random.choice(["see comment", "clotted", "not done"]), None, None
    if odd < 0.08:
        return "NM", lab.random.choice(["", '""']), None, None
    if odd < 0.1:
        return "NM", f"{value}{repeat}{value}1", None, None
    if odd < 0.12:
        return "ST", "10-20", None, None
    printed = value.replace(".", ",") if lab.comma and lab.random.random() < 0.5 else value
    if comparator:
        if lab.random.random() < 0.5:
            return "SN", f"{comparator}{component}{printed}", value, comparator
        return "ST", f"{comparator}{lab.random.choice(['', ' '])}{printed}", value, comparator
    return lab.random.choice(["NM", "NM", "ST", "TX"]), printed, value, None


def _test(lab: Laboratory, analyte: Analyte) -> str:
    name, c = lab.random.choice(analyte.names), lab.separators[1]
    return {
        "loinc": f"{analyte.loinc}{c}{name}{c}LN",
        "second": f"L{len(name)}{c}{name}{c}99LAB{c}{analyte.loinc}{c}{name}{c}LN",
        "name": f"L{len(name)}{c}{name}{c}L",
        "text": f"{c}{name}",
    }[lab.coded]


def _range(lab: Laboratory, low: str | None, high: str | None) -> str:
    if low and high:
        return lab.random.choice([f"{low}-{high}", f"{low} - {high}", f"({low}-{high})"])
    if high:
        return lab.random.choice([f"<={high}", f"<= {high}"])
    return f">={low}" if low else ""


@dataclass
class Figures:
    """How well the corpus was read."""

    rows: int = 0
    known: int = 0  # rows of a marker whose value is certain
    found: int = 0  # of these, those read with that marker and value
    wrong: list[str] = field(default_factory=list)  # a value, or what makes it one, that is not so


def read_corpus() -> Figures:
    """Read every message and compare each row with the truth."""
    from cds_service.reports.read import as_json, read_report
    from cds_service.service import load_knowledge, lookups_of
    from cds_service.settings import load_settings

    figures = Figures()
    lookups = lookups_of(load_knowledge(load_settings()))
    for message in corpus():
        read = as_json(read_report(message.data), lookups)
        if read["patient"]["id"] != message.patient_id or len(read["rows"]) != len(message.rows):
            figures.wrong.append(f"{message.patient_id}: another patient or another number of rows")
            continue
        for number, (row, true) in enumerate(zip(read["rows"], message.rows, strict=True)):
            figures.rows += 1
            wanted = {**asdict(true), "unit": true.unit or None}
            is_known = true.marker is not None and true.value is not None
            figures.known += is_known
            figures.found += is_known and all(
                row[key] == wanted[key] for key in ("marker", "value")
            )
            if row["value"] is not None and any(row[key] != wanted[key] for key in wanted):
                figures.wrong.append(f"{message.patient_id} row {number}: {row} is not {wanted}")
    return figures


def main(arguments: list[str]) -> int:
    """Print the figures, or write the corpus."""
    if arguments[:1] == ["--write"]:
        folder = Path(arguments[1])
        folder.mkdir(parents=True, exist_ok=True)
        for message in corpus():
            (folder / f"{message.patient_id}.hl7").write_bytes(message.data)
            truth = {
                "patient_id": message.patient_id,
                "rows": [asdict(row) for row in message.rows],
            }
            (folder / f"{message.patient_id}.json").write_text(json.dumps(truth, indent=2))
        return 0
    figures = read_corpus()
    print(f"{MESSAGES} messages, {figures.rows} rows")
    print(f"rows of a known marker found: {figures.found} of {figures.known}")
    print(f"wrong values accepted: {len(figures.wrong)}", *figures.wrong, sep="\n")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
