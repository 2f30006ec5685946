// Questions to the worker. Every one carries a header that no page of another origin can send, and the token in another:
// never a cookie, which a browser would add to anybody's request.

import { ask } from "./dialog.js";

const KEPT = "stoop-token";

/** An answer that is a no. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// For this tab alone, until it is closed.
let token = sessionStorage.getItem(KEPT);
let asking = null;

let allowed = [];

/** Whether this port may change this. */
export const allows = (what) => allowed.includes(what);

/** Takes note of what the port may change; true where that is another thing than before. */
export function permit(what) {
  const isNew = what.join() !== allowed.join();
  allowed = what;
  return isNew;
}

export const hasToken = () => token !== null;

export function forgetToken() {
  sessionStorage.removeItem(KEPT);
  location.reload();
}

/** Asks for the token, whoever else waits for it too. */
function wantToken(wasWrong) {
  asking ??= ask({
    title: "This worker wants its token",
    text: wasWrong
      ? "That was not it. It is the value of control.token."
      : "It is the value of control.token in the worker’s configuration. It stays in this tab.",
    field: "Token",
    confirm: "Go on",
    insist: true,
  }).then((given) => {
    token = given;
    sessionStorage.setItem(KEPT, given);
    asking = null;
  });
  return asking;
}

/** Sends a request, with the token that is wanted. */
export async function send(path, options = {}) {
  for (;;) {
    const shown = token;
    const headers = { "stoop-control": "1", ...options.headers };
    if (shown !== null) headers.authorization = `Bearer ${shown}`;
    const answer = await fetch(path, {
      ...options,
      headers,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
    if (answer.ok) return answer;
    if (answer.status === 401) {
      // Another question may have got it meanwhile.
      if (shown === token) await wantToken(shown !== null);
      continue;
    }
    const text = await answer.text();
    let why = text;
    try {
      why = JSON.parse(text).error ?? text;
    } catch {
      // It is no JSON, and says what it says.
    }
    throw new Refused(answer.status, why || `the worker answered ${answer.status}`);
  }
}

async function read(path, options) {
  try {
    const answer = await send(path, options);
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(0, "The worker doesn’t answer. Does it run, and is the port forwarded still?");
  }
}

export const get = (path) => read(path, {});

export const post = (path, body) =>
  read(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
