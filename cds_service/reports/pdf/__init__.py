# SPDX-License-Identifier: Apache-2.0
"""PDF with a text layer: results by where they stand on the page."""
