# SPDX-License-Identifier: Apache-2.0
"""Each step, in the order of its `down_revision`."""
