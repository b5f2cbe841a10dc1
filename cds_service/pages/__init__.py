# SPDX-License-Identifier: Apache-2.0
"""What the pages say: view models of the explainer and the rule catalogue.

Knowledge and decisions in, plain frozen values out. The same value becomes a page, JSON or a file
of the documentation, so none of them can say something else. Knows neither HTTP nor HTML.
"""
