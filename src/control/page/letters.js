// Dead letters: what was given up, with its bytes and why, to be run again or dropped.

import { allows, get, post } from "./api.js";
import { ask, tell } from "./dialog.js";
import { byId, chip, el, empty, facts, failure, fill, focusOn, panel, pre, refill, say, table, time } from "./dom.js";
import { count, indented, moment } from "./text.js";

const COLUMNS = [["Failed", "narrow"], ["Event"], ["Why"], ["Change", "narrow"]];

let chosen = null;

/** Says of which subscriptions there are dead letters to be looked at. */
export function offer(subscriptions) {
  const select = byId("subscription");
  const names = subscriptions.map(({ name }) => name);
  if ([...select.options].map(({ value }) => value).join() === names.join()) return;
  const before = select.value;
  fill(
    select,
    names.map((name) => el("option", { value: name, selected: name === before }, name)),
  );
  if (!byId("view-letters").hidden) load();
}

export function start() {
  byId("subscription").addEventListener("change", load);
  byId("reload-letters").addEventListener("click", load);
}

const path = (what = "") => `/v1/dead-letters/${encodeURIComponent(byId("subscription").value)}${what}`;

export async function load() {
  if (byId("subscription").value === "") return undefined;
  let list;
  try {
    list = await get(path());
  } catch (error) {
    return fill(byId("letters"), failure(error, load));
  }
  if (list.items.length === 0) {
    return fill(
      byId("letters"),
      empty(
        "No dead letters.",
        el(
          "p",
          {},
          "An event that failed for good, or was held back by a guardrail that may say yes tomorrow, waits here with its bytes until somebody redrives or drops it.",
        ),
      ),
    );
  }
  return refill(byId("letters"), [
    el("p", { class: "hint" }, hint()),
    table("Dead letters, oldest first", COLUMNS, list.items.map(row)),
    list.isCut &&
      el(
        "p",
        { class: "hint" },
        `Only the oldest ${count(list.items.length, "dead letter")}: stoop dlq list has them all.`,
      ),
  ]);
}

function hint() {
  if (allows("redrive") || allows("drop")) return "";
  return [
    "This page may not change them. In a terminal: ",
    el("code", {}, "stoop dlq redrive"),
    " and ",
    el("code", {}, "drop"),
    ".",
  ];
}

const KINDS = { malformed: "bad", failed: "bad", "held-back": "no", crashed: "bad" };

function row(it) {
  const about = `${it.rule ?? "a message"} at ${it.place}`;
  const button = (key, word, does) =>
    el(
      "button",
      { type: "button", "data-key": `${key}-${it.place}`, "aria-label": `${word} ${about}`, on: { click: does } },
      word,
    );
  const name = el(
    "button",
    {
      type: "button",
      class: "open",
      "data-key": `open-${it.place}`,
      "aria-controls": "letter",
      "aria-expanded": String(chosen === it.place),
      on: { click: () => open(it) },
    },
    it.rule ?? "Not a Falco event",
  );
  return el(
    "tr",
    { class: chosen === it.place ? "chosen" : null },
    el("td", { class: "narrow" }, time(it.lastFailed)),
    el("td", {}, name, el("span", { class: "sub value" }, it.playbooks.join(", ") || "all playbooks")),
    el("td", { class: "value" }, chip(KINDS[it.reason] ?? "idle", it.reason), el("p", { class: "short" }, it.error)),
    el(
      "td",
      { class: "narrow" },
      el(
        "div",
        { class: "buttons" },
        allows("redrive") && button("redrive", "Redrive…", () => redrive(it)),
        allows("drop") && button("drop", "Drop…", () => drop(it)),
      ),
    ),
  );
}

async function redrive(it) {
  const text = `It is published again where it came from, for ${it.playbooks.join(", ") || "all playbooks"}. What is too old by now is refused again: stoop dlq redrive --max-age allows it.`;
  if ((await ask({ title: "Redrive this dead letter?", text, confirm: "Redrive", danger: true })) !== null)
    await change("/redrive", it, "Redriven.");
}

async function drop(it) {
  const text = `${it.rule ?? "The message"} is gone for good then, with its bytes.`;
  if ((await ask({ title: "Drop this dead letter?", text, confirm: "Drop", danger: true })) !== null)
    await change("/drop", it, "Dropped.");
}

async function change(what, it, done) {
  try {
    await post(path(what), { place: it.place });
    say(done);
  } catch (error) {
    await tell("That was not done", error.message);
  }
  await load();
  // It may be at another place by now, or nowhere.
  if (document.activeElement === document.body) byId("reload-letters").focus();
}

async function open(it) {
  chosen = it.place;
  await load();
  const aside = byId("letter");
  try {
    const whole = await get(path(`/show?place=${encodeURIComponent(it.place)}`));
    panel(aside, "letter-title", whole.rule ?? "Not a Falco event", close, [
      el("p", { class: "said value" }, whole.error),
      facts([
        ["Place", el("code", {}, whole.place)],
        ["Reason", whole.reason],
        ["Playbooks", whole.playbooks.join(", ") || "all"],
        ["Attempts", String(whole.attempts)],
        ["First failed", moment(whole.firstFailed)],
        ["Last failed", moment(whole.lastFailed)],
        ["Given up by", whole.worker],
      ]),
      el("h4", {}, "The message"),
      pre(indented(whole.body), "The message"),
    ]).focus();
  } catch (error) {
    panel(aside, "letter-title", it.rule ?? it.place, close, failure(error)).focus();
  }
}

async function close() {
  const place = chosen;
  chosen = null;
  byId("letter").hidden = true;
  await load();
  focusOn(`open-${place}`);
}
