# SPDX-License-Identifier: Apache-2.0
"""Messages of HL7 v2, made of the fields that a test is about."""

HEADER = r"MSH|^~\&|LAB|HOSPITAL|EHR|HOSPITAL|20260305100000||ORU^R01|1|P|2.5.1"
PATIENT = "PID|1||4711^^^HOSPITAL^MR||Muster^Anna^B||19800102|F"
ORDER = "OBR|1|||24325-3^Hepatic panel^LN|||202603050930"


def obx(value: str = "41", *, kind: str = "NM", **fields: str) -> str:
    """A result of ALT in U/L that is final, but for the fields given as `f7="7-40"`."""
    usual = {1: "1", 2: kind, 3: "1742-6^ALT^LN", 5: value, 6: "U/L", 11: "F"}
    usual.update({int(name[1:]): text for name, text in fields.items()})
    return "|".join(["OBX", *(usual.get(number, "") for number in range(1, max(usual) + 1))])


def message(*segments: str, header: str = HEADER) -> bytes:
    """A message with the patient and the order in front of these segments."""
    return "\r".join([header, PATIENT, ORDER, *segments, ""]).encode()
