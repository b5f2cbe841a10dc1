// SPDX-License-Identifier: Apache-2.0
// Comforts of the sandbox page. Everything on it works without them, by forms.

/** Tell what happened where assistive technology listens. */
const tell = (form, text) => {
  form.closest(".card").querySelector(".feedback-status").textContent = text;
};

/** The feedback of CDS Hooks that a form and the button that was pressed stand for. */
const feedbackOf = (form, button) => {
  const fields = new FormData(form);
  const item = { card: fields.get("card"), outcomeTimestamp: new Date().toISOString() };
  if (button.name === "suggestion") {
    return { ...item, outcome: "accepted", acceptedSuggestions: [{ id: button.value }] };
  }
  const [system, code] = fields.get("reason").split("|");
  const reason = code ? { reason: { code, system } } : {};
  const comment = fields.get("comment").trim();
  const why = comment ? { ...reason, userComment: comment } : reason;
  const override = Object.keys(why).length ? { overrideReason: why } : {};
  return { ...item, outcome: "overridden", ...override };
};

const sendFeedback = async (form, button) => {
  const address = form.dataset.feedback;
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ feedback: [feedbackOf(form, button)] }),
  }).catch(() => null);
  if (!answer?.ok) {
    tell(form, `The feedback was not kept: ${answer ? `status ${answer.status}` : "no answer"}.`);
    return;
  }
  const accepted = button.name === "suggestion";
  if (accepted) {
    button.textContent = "Accepted";
    button.setAttribute("aria-label", button.getAttribute("aria-label").replace("Accept", "Accepted"));
    button.classList.add("done");
  } else {
    form.closest(".dismiss").open = false;
    form.closest(".card").classList.add("dismissed");
  }
  tell(form, `${accepted ? "Accepted" : "Dismissed"}. Posted to ${address} and kept.`);
};

for (const form of document.querySelectorAll("[data-feedback]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendFeedback(form, event.submitter);
  });
}

for (const box of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(box.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(box);
      button.textContent = "Selected";
    }
  });
  box.before(button);
}

for (const form of document.querySelectorAll("[data-drop]")) {
  // Beside the only form of a page a file would leave it: the browser would open it.
  const sends = form.dataset.drop === "send";
  const target = sends ? document : form;
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over-it");
  });
  target.addEventListener("dragleave", () => form.classList.remove("over-it"));
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over-it");
    const files = event.dataTransfer.files;
    if (files.length) {
      form.querySelector("[type=file]").files = files;
      if (sends) form.requestSubmit();
    } else {
      form.querySelector("textarea").value = event.dataTransfer.getData("text");
    }
  });
}

for (const name of document.querySelectorAll("[data-fill]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "as-link";
  button.textContent = name.textContent;
  button.addEventListener("click", () => {
    const field = document.getElementById(name.dataset.fill);
    field.value = name.dataset.value;
    field.focus();
  });
  name.replaceWith(button);
}

document.querySelector(".picked h2")?.focus();
