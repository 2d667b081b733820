// What Redis holds for the number on the phone. Expiries count down here between two looks.
import { element } from "./dom.js";
import { duration, onLanguage, say } from "./language.js";

const place = document.querySelector("#redis");
let last = null; // { phone, keys, at }: the last look

export function showRedis(phone, keys) {
  last = { phone, keys, at: Date.now() };
  draw();
}

function draw() {
  if (!last?.phone) return place.replaceChildren(empty(say("redisNone")));
  if (!last.keys) return place.replaceChildren(empty(say("redisAway")));
  if (!last.keys.length) return place.replaceChildren(empty(say("redisEmpty", { phone: last.phone })));
  const rows = last.keys.map((key) => ({ ...key, ...describe(key) }));
  rows.sort((one, other) => one.rank - other.rank);
  // Between two looks only the clock changes; what a person has selected or scrolled to stays.
  const text = JSON.stringify(rows.map(({ key, value, what }) => [key, value, what]));
  if (place.dataset.drawn !== text) {
    place.replaceChildren(...rows.map(row));
    place.dataset.drawn = text;
  }
  paintExpiries();
}

function empty(text) {
  delete place.dataset.drawn;
  return element("p", { class: "empty" }, text);
}

const KINDS = [
  [/^otp:.*:latest(:|$)/, "keyLatest"],
  [/^otp:.*:cooldown$/, "keyCooldown"],
  [/^otp:.*:day:/, "keyDay"],
  [/^otp:.*:failures$/, "keyFailures"],
  [/^otp:.*:sent:/, "keySent"],
  [/^otp:.*:receipts$/, "keyReceipts"],
  [/^otp:/, "keyCode"],
  [/^user:/, "keyUser"],
  [/^session:.*:index$/, "keySessions"],
  [/^session:/, "keySession"],
];
const ORDER = ["keyCode", "keyUser", "keySession", "keyCooldown", "keyDay", "keyFailures"]; // the others follow

function describe({ key }) {
  const what = KINDS.find(([pattern]) => pattern.test(key))?.[1] ?? "keyOther";
  return { what, rank: ORDER.includes(what) ? ORDER.indexOf(what) : ORDER.length };
}

function row({ key, value, what }) {
  const left = element("span", { class: "ttl", "data-key": key });
  const head = element("p", { class: "key" }, element("strong", {}, say(what)), left);
  return element("article", {}, head, element("code", {}, key), fields(value));
}

function fields(value) {
  if (typeof value === "string") return element("p", { class: "value" }, value);
  const pairs = Array.isArray(value) ? value.map((item, index) => [index, item]) : Object.entries(value ?? {});
  return element("dl", {}, ...pairs.flatMap(([name, text]) => [element("dt", {}, `${name}`), element("dd", {}, text)]));
}

export function paintExpiries() {
  if (!last?.keys) return;
  for (const { key, ttl } of last.keys) {
    const place = document.querySelector(`.ttl[data-key="${CSS.escape(key)}"]`);
    if (!place) continue;
    const seconds = ttl === null ? null : Math.max(0, Math.ceil((ttl - (Date.now() - last.at)) / 1000));
    place.textContent = seconds === null ? say("forEver") : duration(seconds);
  }
}

onLanguage(draw);
