// The worker's feed: read as it comes, gone on with after a break, and made into events with all that became of them.

import { send } from "./api.js";

/** How many events are remembered. */
export const MOST = 1000;

/** Of how many playbooks an event's responses are remembered; the worker names the first of those that want it. */
const MOST_PLAYBOOKS = 64;

/** The worker says something every five seconds. */
const SILENCE = 20_000;
const LONGEST_REST = 10_000;

/** Events by identity, oldest first. */
export const events = new Map();

const listeners = { change: [], state: [], responded: [] };

/** `change` with an event; `state` with how the connection is; `responded` where a response has ended. */
export const on = (what, listener) => listeners[what].push(listener);
const emit = (what, ...values) => listeners[what].forEach((listener) => listener(...values));

let feed = "";
let last = null;

/** Reads for good, and comes back after every break. */
export async function follow() {
  let rest = 500;
  let since = null;
  for (;;) {
    try {
      await read(() => {
        rest = 500;
        since = null;
        emit("state", { live: true });
      });
    } catch {
      // Whatever broke it: it is tried again.
    }
    since ??= Date.now();
    emit("state", { live: false, since });
    await new Promise((wake) => setTimeout(wake, rest));
    rest = Math.min(rest * 2, LONGEST_REST);
  }
}

async function read(begun) {
  const abort = new AbortController();
  let watchdog = setTimeout(() => abort.abort(), SILENCE);
  try {
    const from = last === null ? "" : `?feed=${feed}&after=${last}`;
    const answer = await send(`/v1/feed${from}`, { signal: abort.signal });
    begun();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE);
      const parts = (text + value).split("\n\n");
      text = parts.pop();
      parts.forEach(take);
    }
  } finally {
    clearTimeout(watchdog);
  }
}

function take(block) {
  const fields = { event: "message", data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (fields.data === "") return;
  const data = JSON.parse(fields.data);
  if (fields.event === "hello") return hello(data.feed);
  if (fields.event === "lost") return emit("state", { live: true, lost: data.count });
  last = data.number;
  note(data);
}

/** Another feed is another life of the worker: what it left open comes again by the broker. */
function hello(name) {
  if (feed !== "" && feed !== name) {
    for (const event of events.values()) {
      if (event.settled === null) {
        event.isLeft = true;
        emit("change", event);
      }
    }
  }
  if (feed !== name) last = null;
  feed = name;
}

function note(line) {
  switch (line.kind) {
    case "seen":
      return seen(line);
    case "responded": {
      const event = events.get(line.event);
      if (event) {
        const isTold = event.playbooks.includes(line.playbook) || event.responses.size < MOST_PLAYBOOKS;
        if (isTold) event.responses.set(line.playbook, line);
        emit("change", event);
      }
      return emit("responded", line);
    }
    case "settled": {
      const event = events.get(line.event);
      if (!event) return undefined;
      event.settled = line;
      return emit("change", event);
    }
    case "malformed": {
      const event = blank(`malformed-${feed}-${line.number}`, line);
      event.rule = "Not a Falco event";
      event.malformed = line.why;
      return keep(event);
    }
  }
  return undefined;
}

function seen(line) {
  const known = events.get(line.event);
  const event = known ?? blank(line.event, line);
  Object.assign(event, {
    rule: line.rule,
    priority: line.priority,
    source: line.source,
    time: line.time,
    output: line.output,
    claimed: line.claimed,
    playbooks: line.playbooks,
    wanted: line.playbooks.length + (line.more ?? 0),
  });
  event.times += 1;
  event.settled = null;
  event.isLeft = false;
  keep(event);
}

function blank(id, line) {
  return {
    id,
    at: line.at,
    subscription: line.subscription,
    rule: "",
    priority: "",
    playbooks: [],
    wanted: 0,
    responses: new Map(),
    settled: null,
    malformed: null,
    isLeft: false,
    times: 0,
  };
}

function keep(event) {
  events.set(event.id, event);
  if (events.size > MOST) events.delete(events.keys().next().value);
  emit("change", event);
}

const RANK = ["failed", "refused", "pending", "working", "applied", "done", "skipped"];

const KINDS = {
  applied: ["applied", "good"],
  "already-done": ["done", "done"],
  pending: ["pending", "wait"],
  skipped: ["skipped", "idle"],
  refused: ["refused", "no"],
  failed: ["failed", "bad"],
};

/** The playbooks that are known to want it: those that the worker has named, and those that have responded. */
export const known = (event) => [...new Set([...event.playbooks, ...event.responses.keys()])];

/** How many more there are. */
export const unknown = (event) => Math.max(0, event.wanted - known(event).length);

/** How an event is settled for good. */
const ENDS = ["acked", "dead-lettered"];

/** What one playbook has come to: the group for filters, the kind of chip, the word, and why. */
export function came(event, playbook) {
  const response = event.responses.get(playbook);
  if (response?.reason === "approval")
    return { group: "pending", kind: "wait", word: "waits for approval", why: response.why };
  if (response) {
    const [group, kind] = KINDS[response.outcome] ?? ["skipped", "idle"];
    const word = response.reason ? `${response.outcome} (${response.reason})` : response.outcome;
    return { group, kind, word, why: response.why };
  }
  const answer = event.settled?.answers.find((given) => given.playbook === playbook);
  if (answer) {
    const bad = answer.end === "failed" ? ["failed", "bad"] : ["refused", "no"];
    const [group, kind] = answer.end === "well" ? ["done", "done"] : bad;
    return {
      group,
      kind,
      word: answer.end === "well" ? "joined" : answer.end,
      why: `With the response to another event of the same target. ${answer.why}`,
    };
  }
  if (event.settled && !ENDS.includes(event.settled.how))
    return {
      group: "working",
      kind: "wait",
      word: "left",
      why:
        event.settled.how === "unknown"
          ? "The broker did not say whether it is acknowledged: it may come again."
          : "It was not acknowledged, so the broker delivers it again, to this worker or another.",
    };
  if (event.settled) {
    const why = event.settled.passedOver
      ? `Passed over: ${event.settled.passedOver}.`
      : "The verified object is none of this playbook’s.";
    return { group: "skipped", kind: "idle", word: "not its", why };
  }
  if (event.isLeft)
    return {
      group: "working",
      kind: "wait",
      word: "left",
      why: "The worker was started anew meanwhile. It was not acknowledged, so the broker delivers it again.",
    };
  return { group: "working", kind: "work", word: "working", why: "" };
}

/** The worst that any of its playbooks came to. */
export function overall(event) {
  if (event.malformed !== null) return "failed";
  const groups = known(event).map((playbook) => came(event, playbook).group);
  return RANK.find((rank) => groups.includes(rank)) ?? "skipped";
}
