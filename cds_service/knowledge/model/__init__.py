# SPDX-License-Identifier: Apache-2.0
"""The knowledge of a pack as frozen values."""
