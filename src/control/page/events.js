// The live view: a row for each event, newest first, and the whole way of the one that is chosen.

import { byId, chip, el, empty, facts, fill, panel, say, table, time } from "./dom.js";
import { came, events, known, MOST, on, overall, unknown } from "./feed.js";
import { count, moment, place } from "./text.js";

/** How many rows there are at most, and how often they are drawn. */
const ROWS = 200;
const EVERY = 200;

/** How often a screen reader is told what has come. */
const TELL_EVERY = 8000;

const COLUMNS = [
  ["Time", "when narrow"],
  ["Priority", "wide narrow"],
  ["Event"],
  ["Playbooks"],
  ["Settled", "wide narrow"],
];

const rows = new Map();
const changed = new Set();
let body = null;
let chosen = null;
let isPaused = false;
let fresh = [];
let news = 0;

export function start() {
  on("change", (event) => {
    if (!changed.has(event.id) && !rows.has(event.id)) news += 1;
    changed.add(event.id);
    // While it is paused more may come than are remembered.
    if (changed.size > MOST) for (const id of changed) if (!events.has(id)) changed.delete(id);
    if (event.settled || event.malformed !== null) fresh.push(event);
  });
  byId("find").addEventListener("input", filter);
  byId("outcome").addEventListener("change", filter);
  byId("pause").addEventListener("click", pause);
  setInterval(draw, EVERY);
  setInterval(announce, TELL_EVERY);
  on("state", ({ live }) => live && body === null && changed.size === 0 && nothing());
}

function nothing() {
  fill(
    byId("live"),
    empty(
      "No events yet.",
      el(
        "p",
        {},
        "An event shows up here once some playbook wants it; what none wants is skipped. Send one about a pod of yours:",
      ),
      el(
        "pre",
        { class: "command" },
        "stoop event --rule 'Terminal shell in container' --pod shop/web-0 --to SUBSCRIPTION",
      ),
    ),
  );
}

function pause() {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  byId("pause").textContent = isPaused ? "Go on" : "Pause";
  say(isPaused ? "Paused. New events are kept, and shown when you go on." : "Going on.");
  draw();
}

function draw() {
  if (isPaused) {
    if (news > 0) byId("pause").textContent = `Go on (${news} new)`;
    return;
  }
  news = 0;
  if (changed.size === 0) return;
  if (body === null) {
    const made = table("Events, newest first, with what their playbooks came to", COLUMNS, [], { class: "live" });
    fill(
      byId("live"),
      made,
      el("p", { id: "none", class: "empty", hidden: true }, "None of the events that are known is like this."),
    );
    body = made.querySelector("tbody");
  }
  // Of many new ones at once only the last have a row.
  const newest = new Set([...changed].filter((id) => !rows.has(id)).slice(-ROWS));
  for (const id of changed) {
    const event = events.get(id);
    if (event && (rows.has(id) || newest.has(id))) show(event);
    if (id === chosen) redraw(event);
  }
  changed.clear();
  while (body.rows.length > ROWS) {
    const last = body.rows[body.rows.length - 1];
    rows.delete(last.dataset.id);
    last.remove();
  }
  filter();
}

function show(event) {
  const cells = [
    el("td", { class: "when narrow" }, time(event.at)),
    el("td", { class: "wide narrow" }, priority(event)),
    el("td", {}, button(event), below(event)),
    el("td", {}, el("ul", { class: "chips" }, outcomes(event))),
    el("td", { class: "wide narrow" }, settled(event)),
  ];
  const row = rows.get(event.id);
  if (row) {
    // The button stays where it is, so that it keeps the focus.
    row.querySelector(".sub").replaceWith(below(event));
    cells.forEach((cell, at) => cell.querySelector(".open") || row.cells[at].replaceWith(cell));
    return;
  }
  const made = el("tr", { "data-id": event.id }, cells);
  rows.set(event.id, made);
  body.prepend(made);
}

function button(event) {
  const attributes = { type: "button", class: "open", "aria-expanded": "false", "aria-controls": "way" };
  return el("button", { ...attributes, on: { click: () => open(event.id) } }, event.rule || "(no rule)");
}

function below(event) {
  const more = [time(event.at), " · ", event.priority && [priority(event), " · "]];
  return el("span", { class: "sub value" }, el("span", { class: "phone" }, more), about(event));
}

function about(event) {
  for (const response of event.responses.values()) if (response.object) return place(response.object);
  const { namespace, pod, node } = event.claimed ?? {};
  if (pod) return `${namespace ? `${namespace}/` : ""}${pod}`;
  return node ?? event.subscription;
}

const LOUD = ["Emergency", "Alert", "Critical", "Error"];

function priority(event) {
  if (!event.priority) return "";
  const isLoud = LOUD.includes(event.priority);
  return el("span", { class: isLoud ? "priority loud" : "priority" }, isLoud ? "▲ " : "", event.priority);
}

function outcomes(event) {
  if (event.malformed !== null) return el("li", {}, chip("bad", "malformed", event.malformed));
  const told = known(event).map((playbook) => {
    const { kind, word, why } = came(event, playbook);
    return el("li", {}, el("span", { class: "name" }, playbook), chip(kind, word, why));
  });
  return [...told, ...others(event)];
}

/** That not all of its playbooks are told of. */
function others(event) {
  const more = unknown(event);
  return more > 0 ? [el("li", { class: "dim" }, `and ${count(more, "more playbook")}`)] : [];
}

const SETTLED = {
  acked: "acknowledged",
  "dead-lettered": "dead letter",
  "handed-back": "comes again",
  fenced: "comes again",
  unknown: "may come again",
};

function settled(event) {
  if (event.malformed !== null) return "dead letter";
  if (event.settled) return SETTLED[event.settled.how] ?? event.settled.how;
  return el("span", { class: "dim" }, event.isLeft ? "comes again" : "not yet");
}

function filter() {
  if (body === null) return;
  const wanted = byId("find").value.trim().toLowerCase();
  const outcome = byId("outcome").value;
  let shown = 0;
  for (const [id, row] of rows) {
    const event = events.get(id);
    const isWanted =
      Boolean(event) &&
      (outcome === "" || overall(event) === outcome) &&
      (wanted === "" || words(event).includes(wanted));
    row.hidden = !isWanted;
    if (isWanted) shown += 1;
  }
  byId("none").hidden = shown > 0;
}

function words(event) {
  return [event.rule, event.priority, about(event), event.subscription, event.output, event.id, ...known(event)]
    .join(" ")
    .toLowerCase();
}

function open(id) {
  mark(false);
  chosen = id;
  mark(true);
  way(events.get(id))?.focus();
}

function close() {
  const row = rows.get(chosen);
  mark(false);
  chosen = null;
  byId("way").hidden = true;
  row?.querySelector("button.open").focus();
}

function mark(isOpen) {
  const row = rows.get(chosen);
  row?.classList.toggle("chosen", isOpen);
  row?.querySelector("button.open").setAttribute("aria-expanded", String(isOpen));
}

function redraw(event) {
  const isIn = byId("way").contains(document.activeElement);
  const heading = way(event);
  if (isIn) heading?.focus();
}

/** All of an event's way, step by step. */
function way(event) {
  if (!event) return undefined;
  const steps = [
    el(
      "li",
      {},
      el("h4", {}, event.times > 1 ? `Seen ${event.times} times` : "Seen"),
      el("p", { class: "dim" }, `on ${event.subscription}, `, time(event.at)),
      event.malformed === null ? null : el("p", {}, event.malformed),
    ),
    ...known(event).map((playbook) => answered(event, playbook)),
    ...others(event),
    el(
      "li",
      {},
      el("h4", {}, "Settled"),
      el("p", {}, settled(event), event.settled ? [", ", time(event.settled.at)] : null),
    ),
  ];
  return panel(
    byId("way"),
    "way-title",
    event.rule || "(no rule)",
    close,
    event.output && el("p", { class: "said value" }, event.output),
    facts([
      ["About", el("span", { class: "value" }, about(event))],
      ["Priority", event.priority],
      ["Source", event.source],
      ["Happened", event.time && moment(event.time)],
      ["Event", el("code", {}, event.id)],
    ]),
    el("ol", { class: "way" }, steps),
  );
}

function answered(event, playbook) {
  const { kind, word, why } = came(event, playbook);
  const response = event.responses.get(playbook);
  const mode = response && response.mode !== "enforce" ? el("span", { class: "dim" }, ` ${response.mode}`) : null;
  const step = (it) => {
    const shown = came({ responses: new Map([["", { ...it, why: it.detail }]]) }, "");
    return el(
      "li",
      {},
      el("span", { class: "name" }, it.action),
      chip(shown.kind, shown.word),
      it.detail && el("p", { class: "value" }, it.detail),
    );
  };
  const rest = response
    ? el("ul", { class: "steps" }, response.steps.map(step))
    : why && el("p", { class: "value" }, why);
  return el("li", {}, el("h4", {}, playbook, mode, " ", chip(kind, word)), rest);
}

function announce() {
  const settledNow = fresh.filter((event) => events.has(event.id));
  fresh = [];
  if (isPaused || settledNow.length === 0) return;
  const groups = new Map();
  for (const event of new Set(settledNow)) {
    const group = overall(event);
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  say(
    `${count(new Set(settledNow).size, "event")}: ${[...groups].map(([group, number]) => `${number} ${group}`).join(", ")}`,
  );
}
