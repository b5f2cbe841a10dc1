# SPDX-License-Identifier: Apache-2.0
"""The sentences of cards stand in files of messages, and the code uses each of them."""

from typing import get_args

from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.messages import KEYS
from tests.house.source import PACKAGE, modules, texts


def test_no_message_is_without_a_use() -> None:
    """Every message is named in the code, whole or by the beginning that a value completes."""
    written = {
        text
        for path, tree in modules().items()
        if path != "knowledge/model/messages.py"
        for text, _ in texts(tree)
    }

    unused = {
        key
        for key in KEYS
        if key not in written and f"{key.split('.', maxsplit=1)[0]}." not in written
    }

    assert unused == set()


def test_no_sentence_of_a_card_is_in_the_code_that_renders_it() -> None:
    """What `render` writes itself is markup: a text with two words in a row is a sentence."""
    sentences = [
        f"{path}:{line} {text!r}"
        for path, tree in modules().items()
        if path.startswith("render/")
        for text, line in texts(tree)
        if text not in {*KEYS, *get_args(LimitKind)}
        and len([word for word in text.split() if word.isalpha()]) > 1
    ]

    assert sentences == []
    assert (PACKAGE / "render").is_dir()
