// Text as it may be shown: what an event says is an attacker's choice, and is to be seen for what it is.

// Controls, what turns the direction of what follows, and what hides.
const TRICKS =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

const escaped = (c) => `\\u{${c.codePointAt(0).toString(16)}}`;

/** The same text, with what would act on it written out. */
export function visible(text) {
  return String(text).replace(TRICKS, escaped);
}

/** As `visible`, with its lines left as lines. */
export function visibleLines(text) {
  return String(text).replace(TRICKS, (c) => (c === "\n" ? c : escaped(c)));
}

/** JSON over several lines, with every byte of it as it was: one key twice stays twice, and no number is rounded. */
export function indented(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  // A string, a bracket or separator with the space around it, or what is none of them.
  return text.replace(/"(?:[^"\\]|\\.)*"|\s*([{}[\]:,])\s*/g, (whole, sign) => {
    if (sign === undefined) return whole;
    if (sign === "{" || sign === "[") {
      depth += 1;
      return sign + line();
    }
    if (sign === "}" || sign === "]") {
      depth -= 1;
      return line() + sign;
    }
    return sign === "," ? sign + line() : ": ";
  });
}

/** `3 events`, `1 event`. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

const pad = (number) => String(number).padStart(2, "0");

/** The time of day here. */
export function clock(at) {
  const time = new Date(at);
  return `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
}

/** Date and time of day here. */
export function moment(at) {
  const time = new Date(at);
  return `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} ${clock(at)}`;
}

/** Where a target is, in short. */
export function place(target) {
  if (!target) return "";
  const name = target.namespace ? `${target.namespace}/${target.name}` : target.name;
  return target.kind === "Pod" ? name : `${(target.kind ?? "").toLowerCase()} ${name}`;
}
