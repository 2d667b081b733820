// What the phone knows, and everything on it that time or the language changes.
import { paintFlow, uses } from "./flows.js";
import { duration, say, sayFate } from "./language.js";
import { label, put, screen, secondsTo } from "./screens.js";

export const PATIENCE = 60_000; // ms to wait for news of a message; some carriers never answer
const KEPT = "sms-login.sent"; // a phone may load the page anew while one reads the message

export const state = {
  // The last code: { phone, sessionId, serialNo, purpose (a use of flows.js), at, expires, resend }, or null;
  // `dead` is added if the function has said that nothing one could type is right any more, `fate` as in delivery.js.
  get sent() {
    return JSON.parse(sessionStorage.getItem(KEPT));
  },
  set sent(sent) {
    sessionStorage.setItem(KEPT, JSON.stringify(sent));
  },
  number: null, // the phone's own: where messages arrive, also before anybody has answered, and after signing out
  user: null, // who is signed in, as the function told it
  flow: "pay", // of flows.js, which the screen "flow" is for
  waits: { send: 0, enter: 0 }, // until when (ms) the function wants to hear nothing: of getSms, and of codes
};

export const button = (name) => screen(name).querySelector(".primary");

export function paint() {
  const { sent, user, waits } = state;
  const clock = { hour: "2-digit", minute: "2-digit", hour12: false };
  put(document.querySelector("#time"), new Date().toLocaleTimeString("zh-CN", clock));
  label(button("number"), "getCode", waits.send);
  for (const name of ["farewell", "flow", "new-number"]) label(button(name), "sendCode", waits.send);
  label(button("code"), uses[sent?.purpose ?? "logIn"].button, waits.enter);
  if (sent?.dead) button("code").ariaDisabled = "true";
  button("code").classList.toggle("danger", sent?.purpose === "delete");
  paintFlow(state.flow, say);
  if (sent) paintCode(sent, waits);
  if (user) paintUser(user);
}

function paintCode(sent, waits) {
  const { phone, purpose, expires, resend, dead } = sent;
  paintFate(sent);
  label(document.querySelector("#again"), dead ? "sendNew" : "sendAgain", Math.max(resend, waits.send));
  put(screen("code").querySelector("h2"), say(uses[purpose].title));
  put(screen("code").querySelector(".lead"), say("codeSentTo", { phone: readable(phone) }));
  const left = secondsTo(expires);
  const life = left > 0 ? say("validFor", { wait: duration(left) }) : say("noLongerValid");
  put(document.querySelector("#expiry"), dead ? "" : life); // the refusal has said it
}

function paintFate({ phone, serialNo, fate, at, resend, dead }) {
  const place = document.querySelector("#fate");
  const name = fate ? fate.reason ?? "delivered" : Date.now() < at + PATIENCE ? "onItsWay" : "noReceipt";
  put(place, serialNo ? sayFate(name, fate?.after) : "");
  place.classList.toggle("failed", fate?.status === "failed");
  // Calls are for the mainland, and for a message that is not known to have arrived.
  const soon = secondsTo(Math.max(resend, state.waits.send)) > 0;
  document.querySelector("#call").hidden = soon || dead || !phone.startsWith("+86") || fate?.status === "delivered";
}

function paintUser({ name, phone }) {
  put(document.querySelector("#name"), name || say("noName"));
  put(document.querySelector("#avatar"), name ? [...name][0] : phone.slice(-2));
  put(document.querySelector("#own-number"), readable(phone));
}

const readable = (phone) => phone.replace(/^(\+86)(\d{3})(\d{4})(\d{4})$/, "$1 $2 $3 $4");
