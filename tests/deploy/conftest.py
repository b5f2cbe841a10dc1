# SPDX-License-Identifier: Apache-2.0
"""The image, once for all tests of a process."""

from collections.abc import Iterator

import pytest

from tests.deploy import image as images
from tests.deploy.image import Image


@pytest.fixture(name="image", scope="session")
def _image() -> Iterator[Image]:
    with images.built() as made:
        pass
    with images.opened(made) as opened:
        yield opened
