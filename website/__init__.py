# SPDX-License-Identifier: Apache-2.0
"""The documentation site: `python -m website` builds it from `docs/` into `site/`."""
