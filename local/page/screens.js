// The phone's screens: which one is shown, what it says, and buttons that wait.
import { duration, explain, onLanguage, say } from "./language.js";

const screens = [...document.querySelectorAll("#screens > *")];
const said = new Map(); // screen → what it says now: { note, refusal, words }
export const screen = (name) => document.querySelector(`#${name}`);
export const shown = () => screens.find((element) => !element.hidden)?.id;

// Show a screen with nothing said, and move the focus there: to `focus`, or to its heading.
export function show(name, { focus = "h2" } = {}) {
  for (const element of screens) element.hidden = element.id !== name;
  tell(name, {});
  screen(name).querySelector(focus).focus({ preventScroll: true });
}

// Say on a screen that something went well (`note`, a name in words.js), what a person has to mend (`words`, likewise),
// or why the function refused (`refusal`, its answer).
export function tell(name, what) {
  said.set(name, what);
  const text = what.refusal ? explain(what.refusal) : what.words ? say(what.words) : "";
  put(screen(name).querySelector(".note"), what.note ? say(what.note) : "");
  put(screen(name).querySelector(".error"), text);
  const input = screen(name).querySelector("input:not([type=checkbox])");
  if (input) input.ariaInvalid = String(text !== "" && !isNotItsFault(what.refusal));
}

const isNotItsFault = (refusal) => refusal && (refusal.status === 0 || refusal.status >= 429);
onLanguage(() => said.forEach((what, name) => tell(name, what)));

// Write only what has changed: a live region reads out what is written.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Label a button with a word, or with how long it still has to wait; `until` is in ms of the clock.
export function label(button, word, until) {
  const seconds = secondsTo(until);
  const text = seconds > 0 ? say(`${word}Wait`, { wait: duration(seconds) }) : say(word);
  put(button.querySelector("span") ?? button, text);
  button.ariaDisabled = String(seconds > 0); // not `disabled`, which would take the focus from who has just pressed it
}

export const waits = (button) => button?.ariaDisabled === "true";

export const secondsTo = (until) => Math.ceil((until - Date.now()) / 1000);

// Do something that takes a moment: a second tap does nothing meanwhile.
export async function busy(name, action) {
  const element = screen(name);
  if (element.ariaBusy === "true") return;
  element.ariaBusy = "true";
  try {
    await action();
  } finally {
    element.ariaBusy = "false";
  }
}
