// What the phone does: number → code → signed in.
import { call } from "./api.js";
import * as captcha from "./captcha.js";
import * as entry from "./code_entry.js";
import { watchDelivery } from "./delivery.js";
import { dismiss } from "./inbox.js";
import { goOn, redeem, uses } from "./flows.js";
import { onLanguage } from "./language.js";
import * as numberEntry from "./number_entry.js";
import { button, paint, state } from "./paint.js";
import { busy, isFaultOfInput, screen, show, tell, waits } from "./screens.js";
import * as session from "./session.js";

// Ask for a code for a use of flows.js, for the first time or again. `from` is the screen that asks.
async function send(from, { phone, purpose, sessionId }, more = {}) {
  const ask = { phone, ...(sessionId && { sessionId }), ...uses[purpose].bound, ...more };
  let answer = await call("getSms", ask, { once: true });
  for (let refused = false; answer.name === "CaptchaRequired"; refused = true) {
    const ticket = await captcha.solve({ refused });
    if (!ticket) break;
    answer = await call("getSms", { ...ask, ...ticket }, { once: true });
  }
  // Without a clear answer from Tencent Cloud the message may still come, and this session's code works.
  if (!answer.ok && answer.name !== "SendUnknown") {
    if (answer.status === 429) state.waits.send = later(answer.retryAfter);
    if (answer.status === 400 && from === "number") state.number = null; // it is none
    paint();
    if (from === "number" && isFaultOfInput(answer)) numberEntry.focus();
    return tell(from, { refusal: answer });
  }
  const { expiresIn, resendAfter, serialNo, ...data } = answer.data;
  const same = sessionId === data.sessionId;
  const times = { at: Date.now(), expires: later(expiresIn), resend: later(resendAfter) };
  state.sent = { phone, purpose, sessionId: data.sessionId, serialNo, ...times };
  state.waits.enter = 0;
  askForCode();
  if (!answer.ok) tell("code", { doubt: answer });
  else if (sessionId) tell("code", { note: more.channel ? "calling" : same ? "sentAgain" : "newCode" });
}

// Back from the code's screen, its message is still on the way: there is nothing to ask for but the code.
function sendUnlessSent(from, phone, purpose) {
  state.number = phone;
  const last = state.sent?.phone === phone && state.sent.purpose === purpose ? state.sent : null;
  if (last && !last.dead && Date.now() < Math.min(last.resend, last.expires)) return askForCode();
  return send(from, { phone, purpose, sessionId: last?.sessionId });
}

function askForCode() {
  paint(); // before it is shown, so that the heading is read out with its words
  show("code", { focus: "#digits" });
  entry.revive();
  entry.listen();
}

async function enterCode() {
  if (!entry.isFull()) {
    entry.clear();
    return tell("code", { words: "enterAllDigits" });
  }
  const sent = state.sent; // it may be another one when the answer comes
  const answer = await redeem(sent, entry.typed());
  if (!answer.ok) return refuseCode(answer, sent.sessionId);
  if (sent.purpose === "logIn" || sent.purpose === "newNumber") {
    session.begin(answer.data);
    return goHome(answer.data, answer.data.isNewUser ? "welcome" : uses[sent.purpose].done);
  }
  if (sent.purpose === "delete") {
    session.forget();
    return goToStart({ note: "deleted" });
  }
  entry.stopListening();
  dismiss(); // the message that brought the code
  state.sent = null;
  goOn(sent.purpose, answer.data);
}

function refuseCode(answer, sessionId) {
  if (session.isOver(answer)) return goToStart({ refusal: answer });
  const ours = state.sent?.sessionId === sessionId;
  const dead = ours && entry.isDead(answer);
  if (dead) state.sent = { ...state.sent, dead };
  if (answer.status === 429) state.waits.enter = later(answer.retryAfter);
  paint();
  tell("code", { refusal: answer });
  if (dead) {
    entry.kill();
    document.querySelector("#again").focus(); // all that is left to do
  } else if (answer.status !== 0 && answer.status < 500) entry.clear(); // a code that may be right stays, to be sent again
}

function goHome(data, note) {
  entry.stopListening();
  dismiss(); // the message that brought the code
  state.sent = null;
  state.user = data;
  state.number = data.phone;
  document.querySelector("#nickname").value = state.user.name;
  paint();
  show("home");
  tell("home", { note });
}

function goToStart(what) {
  entry.stopListening();
  state.user = null;
  state.sent = null;
  paint();
  show("number");
  tell("number", what);
}

// Sign in with what the last visit left, if it left anything; or go on to wait for the code.
async function resume() {
  if (!session.maySignIn()) {
    if (state.sent?.expires > Date.now() && !state.sent.dead && state.sent.purpose === "logIn") {
      state.number = state.sent.phone;
      return askForCode();
    }
    paint();
    screen("number").hidden = false; // as a page opens: the focus stays where the person has it
    return;
  }
  show("waiting");
  document.querySelector("#retry").hidden = true;
  const answer = await session.refresh();
  if (answer.ok) goHome(answer.data, "welcomeBack");
  else if (session.isOver(answer)) goToStart({ refusal: answer });
  else {
    tell("waiting", { refusal: answer });
    document.querySelector("#retry").hidden = false;
  }
}

// Do something as the user who is signed in, from the screen "home".
const asUser = (action) => busy("home", async () => {
  const answer = await action();
  if (session.isOver(answer)) goToStart({ refusal: answer });
  else if (!answer.ok) tell("home", { refusal: answer });
  else return answer;
});

function signOut(everywhere) {
  asUser(async () => {
    const answer = await session.end({ everywhere });
    if (answer.ok) goToStart({ note: everywhere ? "signedOutEverywhere" : "signedOut" });
    return answer;
  });
}

function rename() {
  const name = document.querySelector("#nickname").value.trim();
  if (!name) return tell("home", { words: "enterNickname" });
  asUser(async () => {
    const answer = await session.signedIn("setNickname", { name });
    if (answer.ok) {
      state.user = answer.data;
      paint();
      tell("home", { note: "saved" });
    }
    return answer;
  });
}

function firstCode() {
  const phone = numberEntry.typed();
  if (!phone) {
    numberEntry.focus();
    return tell("number", { words: "enterNumberFirst" });
  }
  return sendUnlessSent("number", phone, "logIn");
}

function newNumber() {
  const phone = document.querySelector("#new-phone").value.trim();
  return phone ? sendUnlessSent("new-number", phone, "newNumber") : tell("new-number", { words: "enterNumberFirst" });
}

const later = (seconds) => Date.now() + seconds * 1000;

const on = (selector, event, action) => document.querySelector(selector).addEventListener(event, action);
const onSubmit = (name, action) => on(`#${name}`, "submit", (event) => {
  event.preventDefault();
  busy(name, async () => !waits(button(name)) && action());
});

export function start() {
  onSubmit("number", firstCode);
  onSubmit("code", enterCode);
  onSubmit("farewell", () => sendUnlessSent("farewell", state.user.phone, "delete"));
  onSubmit("flow", () => sendUnlessSent("flow", state.user.phone, state.flow));
  onSubmit("new-number", newNumber);
  onSubmit("rename", rename);
  on("#again", "click", ({ target }) => busy("code", async () => !waits(target) && send("code", state.sent)));
  on("#back", "click", () => {
    entry.stopListening();
    show(uses[state.sent.purpose].from);
  });
  for (const back of document.querySelectorAll(".home")) back.addEventListener("click", () => show("home"));
  on("#delete", "click", () => show("farewell"));
  for (const flow of ["resetPassword", "pay", "changePhone"]) on(`#${flow}`, "click", () => {
    state.flow = flow;
    paint();
    show("flow");
  });
  on("#sign-out", "click", () => signOut(false));
  on("#sign-out-everywhere", "click", () => signOut(true));
  on("#retry", "click", resume);
  numberEntry.onChange(() => {
    state.waits.send = 0; // another number may be asked for at once
    tell("number", {});
    paint();
  });
  on("#digits", "input", () => tell("code", {}));
  entry.onFull(() => screen("code").requestSubmit());
  onLanguage(paint);
  setInterval(paint, 1000);
  watchDelivery(() => busy("code", () => send("code", state.sent, { channel: "voice" })));
  resume();
}
