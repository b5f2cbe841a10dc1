# SPDX-License-Identifier: Apache-2.0
"""HTML pages: templates, charts and forms."""
