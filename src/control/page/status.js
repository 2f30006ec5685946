// The worker itself, how far it is behind, and its playbooks.

import { get } from "./api.js";
import { byId, chip, el, empty, failure, fill, refill, table } from "./dom.js";
import { offer } from "./letters.js";
import { count, moment } from "./text.js";

/** Shows which worker this is, what it waits for, and what the page may change; gives the latter. */
export async function worker() {
  const status = await get("/v1/worker");
  const where = status.cluster ? ` in ${status.cluster}` : "";
  fill(byId("worker"), `${status.name}${where}`);
  byId("worker").title = `version ${status.version}, since ${moment(status.since)}`;
  const can = status.allow.length > 0;
  fill(byId("rights"), can ? `May ${status.allow.join(", ")}` : "Read-only");
  byId("rights").title = can ? "As control.allow says" : "control.allow says what this page may change";
  const lines = [
    ...status.waiting.map((line) => el("p", { class: "notice bad" }, el("strong", {}, "Waits: "), line)),
    ...status.warnings.map((line) => el("p", { class: "notice" }, el("strong", {}, "Mind: "), line)),
  ];
  const shown = lines.map((line) => line.textContent).join("\n");
  const notices = byId("notices");
  // Said once, and not every time that it is read.
  if (notices.dataset.shown !== shown) {
    notices.dataset.shown = shown;
    fill(notices, lines);
  }
  return status.allow;
}

const BEHIND = [["Partition"], ["Waiting", "number"], ["Not committed", "number"]];

export async function lag() {
  let all;
  try {
    all = await get("/v1/lag");
  } catch (error) {
    return fill(byId("lag"), failure(error, lag));
  }
  offer(all);
  const dead = all.reduce((sum, it) => sum + (it.deadLetters ?? 0), 0);
  badge("count-letters", dead, " dead letters in journals");
  badge(
    "count-lag",
    all.reduce((sum, it) => sum + (it.lag ?? 0), 0),
    " messages not settled",
  );
  return refill(byId("lag"), all.map(subscription));
}

function badge(id, number, what) {
  byId(id).hidden = number === 0;
  fill(byId(id), number > 9999 ? "9999+" : String(number), el("span", { class: "unseen" }, what));
}

function subscription(it) {
  const number = (name, value) => el("div", { class: "figure" }, el("dt", {}, name), el("dd", {}, value));
  const most = Math.max(1, ...it.partitions.map((one) => one.uncommitted));
  const row = (one) =>
    el(
      "tr",
      {},
      el("td", {}, el("code", {}, one.name)),
      el("td", { class: "number" }, one.waiting.toLocaleString("en")),
      el(
        "td",
        { class: "number" },
        el("meter", { min: "0", max: most, value: one.uncommitted, "aria-hidden": "true" }),
        one.uncommitted.toLocaleString("en"),
      ),
    );
  return el(
    "article",
    { class: "card" },
    el("h3", {}, it.name, " ", el("span", { class: "dim" }, it.broker)),
    it.lag === null
      ? el("p", {}, "Not open: what it waits for is said above.")
      : el(
          "dl",
          { class: "figures" },
          number(it.broker === "pubsub" ? "received, not settled" : "not settled", it.lag.toLocaleString("en")),
          number("in flight here", it.inFlight.toLocaleString("en")),
          it.oldestSeconds !== null && number("oldest", `${Math.round(it.oldestSeconds)} s`),
          it.deadLetters !== null && number("dead letters", it.deadLetters.toLocaleString("en")),
        ),
    el("p", { class: "dim" }, it.about),
    it.partitions.length > 0 && table(`Partitions of ${it.name}`, BEHIND, it.partitions.map(row)),
  );
}

const COLUMNS = [
  ["Playbook"],
  ["Mode", "narrow"],
  ["Events", "number"],
  ["Responses"],
  ["Actions", "wide"],
  ["From", "wide"],
];

const MODES = { enforce: ["good", "enforce"], dryRun: ["wait", "dry run"], observe: ["idle", "observe"] };
const KINDS = {
  applied: "good",
  asked: "wait",
  "already-done": "done",
  pending: "wait",
  skipped: "idle",
  refused: "no",
  failed: "bad",
};

export async function playbooks() {
  let all;
  try {
    all = await get("/v1/playbooks");
  } catch (error) {
    return fill(byId("playbooks"), failure(error, playbooks));
  }
  if (all.length === 0) {
    return fill(
      byId("playbooks"),
      empty(
        "There are no playbooks.",
        el(
          "p",
          {},
          "Every event that is taken in is acknowledged, and nothing is done. Name files or folders under playbooks in the configuration, or apply Playbook objects.",
        ),
      ),
    );
  }
  return refill(byId("playbooks"), [
    el("p", { class: "hint" }, `${count(all.length, "playbook")} in force, counted since this worker was started.`),
    table("Playbooks in force", COLUMNS, all.map(playbook)),
  ]);
}

function playbook(it) {
  const outcomes = Object.entries(it.responses);
  const [kind, mode] = MODES[it.mode] ?? ["idle", it.mode];
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, it.name),
    el("td", { class: "narrow" }, chip(kind, mode)),
    el("td", { class: "number" }, it.events.toLocaleString("en")),
    el(
      "td",
      {},
      outcomes.length === 0
        ? el("span", { class: "dim" }, "none")
        : el(
            "ul",
            { class: "chips" },
            outcomes.map(([outcome, number]) =>
              el("li", {}, chip(KINDS[outcome] ?? "idle", `${number.toLocaleString("en")} ${outcome}`)),
            ),
          ),
    ),
    el("td", { class: "wide" }, it.actions.join(", ")),
    el("td", { class: "wide" }, el("code", { class: "value source" }, it.source)),
  );
}
