// The frame: which view is shown, when it is read anew, and how the connection is.

import { forgetToken, hasToken, permit } from "./api.js";
import { byId, fill } from "./dom.js";
import * as events from "./events.js";
import { follow, on } from "./feed.js";
import * as letters from "./letters.js";
import * as responses from "./responses.js";
import * as status from "./status.js";
import { clock, count } from "./text.js";

const EVERY = 5000;

/** How soon after the end of a response they are read anew, and how often where nobody sees but their number. */
const SOON = 2000;
const SELDOM = 30_000;

const VIEWS = {
  live: null,
  responses: responses.load,
  letters: letters.load,
  lag: status.lag,
  playbooks: status.playbooks,
};

let shown = "";
let counted = 0;

function show() {
  const wanted = location.hash.slice(1);
  if (wanted === "main") return;
  const isFirst = shown === "";
  shown = wanted in VIEWS ? wanted : "live";
  for (const view of Object.keys(VIEWS)) byId(`view-${view}`).hidden = view !== shown;
  for (const link of document.querySelectorAll(".views a")) {
    if (link.hash === `#${shown}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(`title-${shown}`).textContent;
  document.title = `${title} · stoop`;
  if (!isFirst) byId("main").focus({ preventScroll: true });
  VIEWS[shown]?.();
}

/** What is to be known whichever view is shown, and the view itself where it is none that changes under one's hands. */
async function refresh() {
  if (document.hidden) return;
  try {
    if (permit(await status.worker())) VIEWS[shown]?.();
    byId("forget").hidden = !hasToken();
    const isDue = shown === "responses" || Date.now() - counted > SELDOM;
    if (isDue) counted = Date.now();
    await Promise.all([status.lag(), isDue && responses.load(), shown === "playbooks" && status.playbooks()]);
  } catch {
    // The connection's state says so already.
  }
}

let lost = 0;

function connection(state) {
  const element = byId("connection");
  lost += state.lost ?? 0;
  element.className = state.live ? "state up" : "state down";
  const missed = lost > 0 ? `, ${count(lost, "entry").replace("entrys", "entries")} missed` : "";
  fill(element, state.live ? `Live${missed}` : `Disconnected since ${clock(state.since)}, trying again`);
  if (state.live && state.lost === undefined) refresh();
}

let soon = null;

function readSoon() {
  soon ??= setTimeout(() => {
    soon = null;
    responses.load();
  }, SOON);
}

addEventListener("hashchange", show);
byId("forget").addEventListener("click", forgetToken);
on("state", connection);
on("responded", readSoon);
events.start();
letters.start();
show();
await refresh();
setInterval(refresh, EVERY);
follow();
