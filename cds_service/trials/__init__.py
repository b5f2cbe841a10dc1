# SPDX-License-Identifier: Apache-2.0
"""The cases of a pack as tests, and the nudges that show whether every number is guarded."""
