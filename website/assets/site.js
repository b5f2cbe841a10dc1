// SPDX-License-Identifier: Apache-2.0
// A table that is wider than a phone is moved by touch; with this, by the keyboard too. The theme wraps
// tables at some time after this script has run.
function reachable() {
  for (const wide of document.querySelectorAll(".md-typeset__scrollwrap")) {
    wide.tabIndex = 0;
  }
}
reachable();
new MutationObserver(reachable).observe(document.querySelector("article"), { childList: true });
