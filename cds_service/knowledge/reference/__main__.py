# SPDX-License-Identifier: Apache-2.0
"""`python -m cds_service.knowledge.reference`: print `docs/reference/language.md`."""

import sys

from cds_service.knowledge.reference.page import language_page

if __name__ == "__main__":
    sys.stdout.write(language_page())
