// The one way to the function: POST / with JSON. Also remembers the last calls, for the console.
import { language } from "./language.js";

// ms for an answer. A refresh may be repeated for ten seconds; after that it looks like that of a copied token.
export const PATIENCE = 8_000;
// Statuses after which the same tap is repeated: no answer at all, or a service that is away. SendUnknown (504) is none:
// it is counted as sent, so that asking again, once `resendAfter` is over, asks for another message.
const REPEAT = [0, 503];
const watchers = [];
let unanswered = null; // what was asked, and its Idempotency-Key, while nobody knows whether it was done

export const onCall = (watcher) => watchers.push(watcher);

// Call a method. Gives { ok, status, name, message, data, retryAfter, language }: name is the codeStr, or "Unreachable";
// the message is in the language.
// With `once`, it has an Idempotency-Key: a new one for each tap, the same when a tap repeats what stayed unanswered.
// `list` says of an answer whether the console lists the call.
export async function call(method, params, { once = false, list = () => true } = {}) {
  const headers = { "Content-Type": "application/json", "Accept-Language": language() };
  if (once) headers["Idempotency-Key"] = keyFor(method, params);
  const body = { method, ...params };
  const started = performance.now();
  const { answer, json } = await post(body, headers);
  if (once && !REPEAT.includes(answer.status)) unanswered = null;
  const took = Math.round(performance.now() - started);
  for (const watcher of list(answer) ? watchers : []) watcher({ at: Date.now(), took, headers, body, answer, json });
  return { ...answer, language: headers["Accept-Language"] };
}

function keyFor(method, { phone, code, sessionId, purpose, channel }) {
  const ask = JSON.stringify([method, phone, code, sessionId, purpose, channel]); // not the captcha's ticket: it is the same wish
  if (unanswered?.ask !== ask) unanswered = { ask, key: randomKey() };
  return unanswered.key;
}

// Not crypto.randomUUID: an emulator reaches this machine by plain http, where browsers do not have it.
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function post(body, headers) {
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch("/", { method: "POST", headers, body: JSON.stringify(body), signal });
    const json = await response.json();
    if (typeof json?.codeStr !== "string") throw new Error("an answer of the platform, not of the function");
    const answer = {
      ok: json.errorCode === 0,
      status: response.status,
      name: json.codeStr,
      message: json.errorMessage,
      data: json.data ?? {},
      retryAfter: json.retryAfter ?? Number(response.headers.get("Retry-After") ?? 0),
    };
    return { answer, json };
  } catch {
    // No network, no answer in time, or an answer that is not the function's.
    return { answer: { ok: false, status: 0, name: "Unreachable", message: "", data: {}, retryAfter: 0 }, json: null };
  }
}
