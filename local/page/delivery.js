// The fate of the message, for the person who waits for its code: asked of the function until it is known.
import { call } from "./api.js";
import { PATIENCE, paint, state } from "./paint.js";
import { shown } from "./screens.js";

const EVERY = 1500; // ms between two questions
let asking = false;

async function ask() {
  const { sent } = state;
  const waits = shown() === "code" && sent?.serialNo && !sent.fate && Date.now() < sent.at + PATIENCE;
  if (!waits || asking || document.hidden) return;
  asking = true;
  const { phone, sessionId, serialNo } = sent;
  // Of all these questions, the console lists the one with the news.
  const isNews = ({ ok, data }) => !ok || data.status !== "sent";
  const answer = await call("getSmsStatus", { phone, sessionId, serialNo }, { list: isNews });
  asking = false;
  if (state.sent?.serialNo !== serialNo || !answer.ok || answer.data.status === "sent") return;
  const after = Math.max(1, Math.round((Date.now() - sent.at) / 1000)); // s
  state.sent = { ...state.sent, fate: { status: answer.data.status, reason: answer.data.reason, after } };
  paint();
}

// `callMe` is for the person whose message does not arrive: the code is read aloud.
export function watchDelivery(callMe) {
  document.querySelector("#call").addEventListener("click", callMe);
  setInterval(ask, EVERY);
}
