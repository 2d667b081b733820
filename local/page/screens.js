// The phone's screens: which one is shown, what it says, and buttons that wait.
import { duration, explain, onLanguage, say } from "./language.js";

const screens = [...document.querySelectorAll("#screens > *")];
const said = new Map(); // screen → what it says now: { note, refusal, doubt, words }
export const screen = (name) => document.querySelector(`#${name}`);
export const shown = () => screens.find((element) => !element.hidden)?.id;

// Show a screen with nothing said, and move the focus there: to `focus`, or to its heading.
export function show(name, { focus = "h2" } = {}) {
  for (const element of screens) element.hidden = element.id !== name;
  tell(name, {});
  screen(name).querySelector(focus).focus({ preventScroll: true });
}

// Say on a screen that something went well (`note`, a name in words.js), what a person has to mend (`words`, likewise),
// why the function refused (`refusal`, its answer), or that it does not know whether it succeeded (`doubt`, likewise).
export function tell(name, what) {
  said.set(name, what);
  const text = what.refusal ? explain(what.refusal) : what.words ? say(what.words) : "";
  const note = screen(name).querySelector(".note");
  put(note, what.note ? say(what.note) : what.doubt ? explain(what.doubt) : "");
  note.classList.toggle("doubt", what.doubt !== undefined);
  put(screen(name).querySelector(".error"), text);
  const input = screen(name).querySelector("input:not([type=checkbox])");
  if (input) input.ariaInvalid = String(what.words !== undefined || isFaultOfInput(what.refusal));
}

const OF_NUMBERS = ["InValidParam", "InvalidPhone", "CountryNotAllowed"];
const OF_CODES = ["MissingCode", "CodeIsError", "CodeHasExpired", "CodeHasValid", "SessionMismatch"];
export const isFaultOfInput = (refusal) => [...OF_NUMBERS, ...OF_CODES].includes(refusal?.name);
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
