# SPDX-License-Identifier: Apache-2.0
"""Where resources come from: each source makes the same input for `intake.read_record`."""
