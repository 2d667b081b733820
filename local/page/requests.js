// The last calls of the function, with what was sent and what came back.
import { onCall } from "./api.js";
import { element } from "./dom.js";
import { language, onLanguage, say } from "./language.js";

const KEPT = 20;
const SECRET = new Set(["token", "refreshToken", "captchaTicket", "proof"]);
const list = document.querySelector("#requests");
const calls = []; // newest first

// List each call as it is answered, and tell `after`, since most change what Redis holds.
export function showRequests(after) {
  onCall((call) => {
    calls.unshift(call);
    calls.length = Math.min(calls.length, KEPT);
    const open = list.querySelector("details[open]") !== null || calls.length === 1;
    draw(open);
    after();
  });
  onLanguage(() => draw(list.querySelector("details[open]") !== null));
}

function draw(openFirst) {
  list.replaceChildren(...calls.map((call, index) => element("li", {}, details(call, openFirst && index === 0))));
  if (!calls.length) list.append(element("li", { class: "empty" }, say("requestsEmpty")));
}

function details({ at, took, headers, body, answer, json }, open) {
  const status = answer.status || "–";
  const kind = answer.ok ? "good" : answer.status && answer.status < 500 ? "refused" : "bad";
  const summary = element(
    "summary",
    {},
    element("strong", {}, body.method),
    element("span", { class: `result ${kind}` }, `${status} ${answer.name}`),
    element("span", { class: "took" }, `${took} ms`),
    element("time", {}, new Date(at).toLocaleTimeString(language(), { hour12: false })),
  );
  const names = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const sent = `POST / HTTP/1.1\n${names.join("\n")}\n\n${pretty(body)}`;
  const came = json ? pretty(json) : say("noAnswer");
  const panes = [["request", sent], ["answer", came]].map(([name, text]) =>
    element("div", {}, element("h4", {}, say(name)), element("pre", { tabindex: "0", "aria-label": say(name) }, text)),
  );
  const whole = element("details", {}, summary, ...panes);
  if (navigator.clipboard) whole.append(copyButton(headers, body)); // browsers have it on this machine and with TLS
  whole.open = open;
  return whole;
}

function copyButton(headers, body) {
  const button = element("button", { type: "button", class: "quiet" }, say("copyCurl"));
  button.onclick = async () => {
    await navigator.clipboard.writeText(curl(headers, body));
    button.textContent = say("copied");
  };
  return button;
}

// The request as a command for a shell, with the tokens in full: without them it would not work.
function curl(headers, body) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const given = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  return ["curl", quoted(`${location.origin}/`), ...given, "-d", quoted(JSON.stringify(body))].join(" ");
}

// JSON for reading. A token on a screen ends up in a screenshot, so only its beginning is shown.
const pretty = (value) =>
  JSON.stringify(value, (name, inner) => (SECRET.has(name) && inner ? `${inner.slice(0, 10)}…` : inner), 2);
