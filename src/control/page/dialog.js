// Questions to the person, one at a time, in a modal dialog: the browser keeps the focus in it, and Esc says no.

import { byId, el, fill, focusOn } from "./dom.js";

/**
 * Asks, and gives the answer: `null` for no, the text of `field` where there is one, else `true`.
 *
 * `load`, if there, is awaited for what the dialog shows; it may throw, and then nothing can be confirmed. Returning
 * `null` from it means that there is nothing to confirm.
 */
export function ask({ title, text, confirm, danger = false, field, insist = false, load }) {
  const dialog = byId("dialog");
  // What has asked may be drawn anew meanwhile, and the browser would find nothing to go back to.
  const back = document.activeElement?.dataset.key;
  return new Promise((resolve) => {
    let answer = null;
    const input = field && el("input", { type: "password", autocomplete: "off", required: true });
    const yes = el(
      "button",
      { type: "submit", class: danger ? "danger" : "primary", disabled: Boolean(load) },
      confirm,
    );
    const no = el("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
    const body = el("div", { class: "dialog-body", "aria-live": "polite" }, el("p", {}, text));
    const form = el(
      "form",
      {
        on: {
          submit: (event) => {
            event.preventDefault();
            answer = input ? input.value : true;
            dialog.close();
          },
        },
      },
      el("h2", { id: "dialog-title" }, title),
      body,
      input && el("label", {}, field, input),
      el("div", { class: "buttons" }, insist ? null : no, yes),
    );
    fill(dialog, form);
    dialog.oncancel = (event) => {
      if (insist) event.preventDefault();
    };
    dialog.onclose = () => {
      if (insist && answer === null) return dialog.showModal();
      fill(dialog);
      if (back) focusOn(back);
      return resolve(answer);
    };
    dialog.showModal();
    load?.().then(
      (shown) => {
        if (shown === null) return;
        body.append(shown);
        yes.disabled = false;
      },
      (error) => body.append(el("p", { class: "failed", role: "alert" }, error.message)),
    );
  });
}

/** Tells something that has to be read. */
export async function tell(title, text) {
  const dialog = byId("dialog");
  await new Promise((resolve) => {
    const close = el("button", { type: "button", class: "primary", on: { click: () => dialog.close() } }, "Close");
    fill(
      dialog,
      el("h2", { id: "dialog-title" }, title),
      el("div", { class: "dialog-body" }, el("p", {}, text)),
      el("div", { class: "buttons" }, close),
    );
    dialog.oncancel = null;
    dialog.onclose = resolve;
    dialog.showModal();
  });
}
