# SPDX-License-Identifier: Apache-2.0
"""Cut, build and rehearse a release: `python -m deploy.release --help`, docs/how-to/release.md."""
