// The cluster's Responses: what was done, what waits for somebody, what can be taken back.

import { allows, get, post } from "./api.js";
import { ask, tell } from "./dialog.js";
import { byId, chip, el, empty, facts, failure, fill, focusOn, panel, refill, say, table, time } from "./dom.js";
import { count, moment, place } from "./text.js";

const COLUMNS = [["Phase", "narrow"], ["Response"], ["Done", "wide"], ["Began", "wide narrow"], ["Change", "narrow"]];

const PHASES = {
  Running: "work",
  Pending: "wait",
  Succeeded: "good",
  Failed: "bad",
  Refused: "no",
  Denied: "no",
  Expired: "idle",
  Reverted: "done",
};

const path = (name, what = "") => `/v1/responses/${encodeURIComponent(name)}${what}`;

let chosen = null;

/** Reads them and shows them; the number of those that wait goes to the view's name. */
export async function load() {
  let list;
  try {
    list = await get("/v1/responses");
  } catch (error) {
    badge(0);
    return fill(byId("responses"), failure(error, load));
  }
  badge(list.items.filter((it) => it.waitsUntil !== null).length);
  if (list.missing) return fill(byId("responses"), empty("No responses are kept.", el("p", {}, `${list.missing}.`)));
  if (list.items.length === 0) {
    return fill(
      byId("responses"),
      empty(
        "No responses yet.",
        el(
          "p",
          {},
          "Here is what playbooks have done to a pod or a node, for as long as responses.keep says; and what waits for an approval, before it is done.",
        ),
      ),
    );
  }
  const rest = list.total - list.items.length;
  return refill(byId("responses"), [
    el("p", { class: "hint" }, hint(list.items)),
    table("Responses, those that wait first, then the newest", COLUMNS, list.items.map(row)),
    rest > 0 &&
      el(
        "p",
        { class: "hint" },
        `${count(rest, "older response")} not shown: `,
        el("code", {}, "stoop responses list"),
        " or ",
        el("code", {}, "kubectl get responses"),
        " has them all.",
      ),
  ]);
}

function badge(waiting) {
  const badge = byId("count-responses");
  badge.hidden = waiting === 0;
  fill(badge, String(waiting), el("span", { class: "unseen" }, " waiting for an answer"));
}

function hint(items) {
  const can = [];
  if (items.some((it) => it.waitsUntil !== null) && !allows("approve")) can.push("stoop responses approve NAME");
  if (items.some((it) => it.canRevert) && !allows("revert")) can.push("stoop responses revert NAME");
  if (can.length === 0) return "";
  return [
    "This page may not change them. In a terminal: ",
    can.map((command, at) => [at > 0 ? ", " : "", el("code", {}, command)]).flat(),
    ".",
  ].flat();
}

function row(it) {
  const buttons = [];
  const about = `${it.playbook} on ${place(it.target) || "an event"}`;
  const button = (key, word, kind, does) =>
    el(
      "button",
      {
        type: "button",
        class: kind,
        "data-key": `${key}-${it.name}`,
        "aria-label": `${word} ${about}`,
        on: { click: does },
      },
      word,
    );
  if (it.waitsUntil !== null && allows("approve")) {
    buttons.push(
      button("approve", "Approve", "primary", () => decide(it, "approve")),
      button("deny", "Deny", "", () => decide(it, "deny")),
    );
  }
  if (it.canRevert && allows("revert")) buttons.push(button("revert", "Revert…", "", () => revert(it)));
  const name = el(
    "button",
    {
      type: "button",
      class: "open",
      "data-key": `open-${it.name}`,
      "aria-controls": "response",
      "aria-expanded": String(chosen === it.name),
      on: { click: () => open(it.name) },
    },
    it.playbook,
  );
  return el(
    "tr",
    { class: chosen === it.name ? "chosen" : null },
    el("td", { class: "narrow" }, chip(PHASES[it.phase] ?? "idle", it.phase.toLowerCase())),
    el("td", {}, name, el("span", { class: "sub value" }, place(it.target) || it.rule)),
    el(
      "td",
      { class: "wide value" },
      it.waitsUntil === null && it.done ? it.done : el("span", { class: "dim" }, undone(it)),
      it.members > 1 && el("span", { class: "sub" }, `for ${count(it.members, "event")}`),
    ),
    el(
      "td",
      { class: "wide narrow" },
      time(it.began),
      it.expiresAt && el("span", { class: "sub" }, "ends ", time(it.expiresAt)),
    ),
    el("td", { class: "narrow" }, el("div", { class: "buttons" }, buttons)),
  );
}

function undone(it) {
  if (it.waitsUntil !== null) return "waits for an answer";
  return it.phase === "Running" ? "under way" : "nothing";
}

async function decide(it, word) {
  const does =
    word === "approve"
      ? "A worker takes it up: it verifies the target again, and does what the playbook says."
      : "Nothing will be done for this event.";
  const text = `${it.rule}, on ${place(it.target) || "an event"}. ${does}`;
  const title = `${word === "approve" ? "Approve" : "Deny"} ${it.playbook}?`;
  const answer = await ask({
    title,
    text,
    confirm: word === "approve" ? "Approve" : "Deny",
    danger: word === "approve",
  });
  if (answer === null) return;
  await change(it, word, { event: it.event, waitsUntil: it.waitsUntil }, word === "approve" ? "Approved." : "Denied.");
}

async function revert(it) {
  const answer = await ask({
    title: `Revert ${it.playbook}?`,
    text: `On ${place(it.target) || "an event"}. Only what is still as stoop left it is taken back.`,
    confirm: "Revert",
    danger: true,
    load: async () => {
      const { undone, failed } = await post(path(it.name, "/revert"), { run: it.run, dryRun: true });
      if (failed.length > 0) throw new Error(failed.map((one) => `${one.action}: ${one.detail}`).join("; "));
      if (undone.length === 0) throw new Error("There is nothing to take back, or a worker is at it.");
      return el(
        "ul",
        { class: "undo" },
        undone.map((one) =>
          el(
            "li",
            {},
            el("strong", {}, one.action),
            ` of ${place(one.object)}: `,
            el("span", { class: "value" }, one.detail),
          ),
        ),
      );
    },
  });
  if (answer !== null) await change(it, "revert", { run: it.run, dryRun: false }, "Reverted.");
}

async function change(it, what, body, done) {
  try {
    const came = await post(path(it.name, `/${what}`), body);
    const failed = came?.failed ?? [];
    if (failed.length > 0)
      await tell("Not all of it was taken back", failed.map((one) => `${one.action}: ${one.detail}`).join("; "));
    else if (came?.undone?.length === 0)
      await tell("Nothing was taken back", "Another worker is at it, or was faster. Look again.");
    else say(done);
  } catch (error) {
    await tell("That was not done", error.message);
  }
  await load();
  // The button that was pressed may be gone.
  focusOn(`${what}-${it.name}`, `open-${it.name}`);
}

async function open(name) {
  chosen = name;
  await load();
  const aside = byId("response");
  try {
    const { spec, status } = await get(path(name));
    const now = status?.run === spec.run ? status : null;
    panel(aside, "response-title", spec.playbook, close, detail(name, spec, now)).focus();
  } catch (error) {
    panel(aside, "response-title", name, close, failure(error)).focus();
  }
}

async function close() {
  const name = chosen;
  chosen = null;
  byId("response").hidden = true;
  await load();
  focusOn(`open-${name}`);
}

function detail(name, spec, status) {
  const list = (title, items) => (items?.length ? [el("h4", {}, title), el("ul", { class: "steps" }, items)] : []);
  const kinds = {
    applied: "good",
    "already-done": "done",
    skipped: "idle",
    refused: "no",
    failed: "bad",
    pending: "wait",
  };
  return [
    spec.event.output && el("p", { class: "said value" }, spec.event.output),
    facts([
      ["Response", el("code", {}, name)],
      ["Target", spec.target && el("span", { class: "value" }, place(spec.target))],
      ["uid", spec.target?.uid && el("code", {}, spec.target.uid)],
      ["Rule", spec.event.rule],
      ["Happened", moment(spec.event.time)],
      ["Began", moment(spec.began)],
      ["Waits until", spec.held && !spec.decision && moment(spec.held.until)],
      ["Decision", spec.decision],
      ["Worker", spec.claim.worker],
      ["Finished", status?.finished && moment(status.finished)],
      ["Ends", status?.expiresAt && moment(status.expiresAt)],
      ["To undo", status?.undo && el("code", {}, status.undo)],
    ]),
    ...list(
      "Actions",
      status?.actions?.map((it) =>
        el(
          "li",
          {},
          el("span", { class: "name" }, it.action),
          chip(kinds[it.outcome] ?? "idle", it.reason ? `${it.outcome} (${it.reason})` : it.outcome),
          el("p", { class: "value" }, it.detail),
        ),
      ),
    ),
    ...list(
      "Evidence",
      status?.evidence?.map((it) => el("li", {}, el("code", {}, it.url))),
    ),
    ...list(
      "Taken back",
      status?.undone?.map((it) =>
        el("li", {}, el("span", { class: "name" }, it.action), el("p", { class: "value" }, it.detail)),
      ),
    ),
  ];
}
