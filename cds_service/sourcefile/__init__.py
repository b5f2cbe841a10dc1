# SPDX-License-Identifier: Apache-2.0
"""YAML files that people write: reading with locations, checking the shape, watching."""
