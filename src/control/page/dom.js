// Elements. Every value becomes a text node or an attribute of a name that is written here; nothing is ever parsed as HTML.

import { clock, moment, visible, visibleLines } from "./text.js";

/** An element, with attributes, listeners under `on`, and children: elements, or values that are shown as text. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, visible(value));
    }
  }
  element.append(...nodes(children));
  return element;
}

/** What `el` takes as children, as nodes. */
export function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(visible(child))));
}

/** Puts these in the place of what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/** The same, and the focus stays on what has the same `data-key`. */
export function refill(element, ...children) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  fill(element, ...children);
  if (key) focusOn(key);
}

/** Puts the focus on the first of these keys that there is. */
export function focusOn(...keys) {
  const found = keys.map((key) => document.querySelector(`[data-key="${CSS.escape(key)}"]`));
  found.find((element) => element !== null)?.focus();
}

export const byId = (id) => document.getElementById(id);

/** Lines of text as they are. */
export function pre(text, label) {
  const element = el("pre", { tabindex: "0", role: "region", "aria-label": label });
  element.textContent = visibleLines(text);
  return element;
}

/** A moment: the time of day, and all of it to whoever points at it. */
export function time(at, how = clock) {
  return el("time", { datetime: at, title: moment(at) }, how(at));
}

const MARKS = { good: "✓", done: "=", bad: "✕", no: "⊘", wait: "?", idle: "–", work: "…" };

/** A state in a word, with a mark that tells it apart without colour. */
export function chip(kind, word, title) {
  const mark = el("span", { "aria-hidden": "true", class: "mark" }, MARKS[kind]);
  return el("span", { class: `chip ${kind}`, title }, mark, word);
}

/** A table with a caption for those who can't see where it stands. */
export function table(caption, columns, rows, more = {}) {
  const heads = columns.map(([name, kind]) => el("th", { scope: "col", class: kind }, name));
  return el(
    "table",
    more,
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, heads)),
    el("tbody", {}, rows),
  );
}

/** A place where nothing is, that says what would be. */
export function empty(title, ...more) {
  return el("div", { class: "empty" }, el("p", { class: "lead" }, title), ...more);
}

/** What went wrong, and what to do. */
export function failure(error, again) {
  const button = again && el("button", { type: "button", on: { click: again } }, "Try again");
  return el(
    "div",
    { class: "empty failed", role: "alert" },
    el("p", { class: "lead" }, "That can’t be shown now."),
    el("p", {}, error.message),
    button,
  );
}

/** Names and what stands behind them. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el(
    "dl",
    {},
    shown.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/** Heads a panel beside a list, with a way to close it. */
export function panel(aside, id, title, close, ...children) {
  const heading = el("h3", { id, tabindex: "-1" }, title);
  const button = el(
    "button",
    { type: "button", class: "quiet", "aria-label": "Close the details", on: { click: close } },
    "Close",
  );
  fill(aside, el("div", { class: "panel-head" }, heading, button), ...children);
  aside.hidden = false;
  return heading;
}

/** Says something to screen readers, once they are done with what they say. */
export function say(text) {
  byId("said").textContent = visible(text);
}
