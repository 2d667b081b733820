// The messages that would have been sent, newest first; one that is new also arrives on the phone.
import { element } from "./dom.js";
import { language, onLanguage, say } from "./language.js";

const SHOWN = 20;
const ON_SCREEN = 8000; // ms that a message stays on top of the phone
const list = document.querySelector("#inbox");
const top = document.querySelector("#arrived");
let messages = null; // as they are listed now

// The template may name the minutes first, and a person type a zero before the number that an SMS does not have.
const codeOf = ({ params }) => params.find((text) => /^[0-9]{6}$/.test(text));
const isTo = ({ phone }, typed) => typed !== null && phone.slice(-7) === typed.slice(-7);

// Show what /_local/inbox gives. `fill` is called with the code of a message that is clicked.
export function showInbox(latest, { phone, fill }) {
  const text = JSON.stringify(latest);
  if (messages && JSON.stringify(messages) === text) return;
  const fresh = messages && latest.length ? latest[0] : null; // what was there when the page opened is not news
  messages = latest;
  draw(fill);
  if (fresh && isTo(fresh, phone)) arrive(fresh, fill);
}

function draw(fill) {
  list.replaceChildren(...messages.slice(0, SHOWN).map((message) => element("li", {}, bubble(message, fill))));
  if (!messages.length) list.append(element("li", { class: "empty" }, say("inboxEmpty")));
}

function bubble(message, fill) {
  const time = new Date(message.sentAt).toLocaleTimeString(language(), { hour12: false });
  const head = element("span", { class: "from" }, element("span", {}, message.phone), element("time", {}, time));
  const button = element("button", { type: "button", class: "message" }, head, ...marked(message));
  button.onclick = () => fill(codeOf(message));
  return button;
}

// The message's text, with its code set apart.
function marked(message) {
  const code = codeOf(message);
  const [before, ...after] = message.text.split(code);
  const lang = /\p{Script=Han}/u.test(message.text) ? "zh-CN" : "en"; // the message's, whatever the page's is
  return [element("span", { class: "text", lang }, before, element("strong", {}, code), after.join(code))];
}

function arrive(message, fill) {
  const hint = element("span", { class: "hint" }, say("messageFill", { code: codeOf(message) })); // see phone.css
  const called = message.channel === "voice";
  const title = element("span", { class: "from" }, say(called ? "callArrived" : "messageArrived"));
  if (called) speak(message);
  const banner = element("button", { type: "button", class: "arrived" }, title, ...marked(message), hint);
  banner.onclick = () => {
    dismiss();
    fill(codeOf(message));
  };
  top.replaceChildren(banner);
  setTimeout(() => banner.remove(), ON_SCREEN);
}

// Read a call aloud, digit by digit, if this browser can.
function speak({ text }) {
  const words = new SpeechSynthesisUtterance(text.replace(/[0-9]/g, "$& "));
  words.lang = "zh-CN";
  window.speechSynthesis?.speak(words);
}

// Take the message off the phone: it has been read.
export const dismiss = () => top.replaceChildren();

export const redrawInbox = (fill) => onLanguage(() => messages && draw(fill));
