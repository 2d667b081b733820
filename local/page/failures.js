// Switches that make the stand-in for Tencent Cloud fail.
import { element } from "./dom.js";
import { onLanguage, say } from "./language.js";

// As in failures.py and receipts.py, the normal one first; a test compares them.
export const MODES = {
  SendSms: ["off", "refusal", "throttle", "timeout", "reset", "charset"],
  DescribeCaptchaResult: ["off", "timeout", "reset", "charset"],
  Receipt: ["delivered", "unreachable", "noSuchNumber", "blocked", "limited", "rejected", "carrier", "none"],
};
const place = document.querySelector("#failures");
const once = document.querySelector("#once");
const present = {}; // action → its mode
let changes = 0; // begun and ended, and those under way: what was looked up meanwhile may be older than their choice
let pending = 0;

function draw() {
  place.replaceChildren(...Object.keys(MODES).map(group));
  paint();
}

function group(action) {
  const chips = MODES[action].map((mode) => {
    const input = element("input", { type: "radio", name: action, value: mode });
    input.onchange = () => change(action, mode);
    return element("label", { class: "chip" }, input, element("span", {}, say(mode)));
  });
  const legend = element("legend", {}, say(action), " ", element("code", {}, action));
  const means = element("p", { class: "small", "data-means": action });
  return element("fieldset", {}, legend, element("div", { class: "chips" }, ...chips), means);
}

async function change(action, mode) {
  const times = once.checked && mode !== MODES[action][0] ? "&times=1" : "";
  changes += 1;
  pending += 1;
  try {
    const response = await fetch(`/_local/fail?action=${action}&mode=${mode}${times}`, { method: "POST" });
    present[action] = (await response.json()).mode;
  } catch {
    // Nobody has heard it: the switch goes back.
  } finally {
    pending -= 1;
    changes += 1;
  }
  paint();
}

function paint() {
  for (const [action, mode] of Object.entries(present)) {
    for (const input of place.querySelectorAll(`[name=${action}]`)) input.checked = input.value === mode;
    // A mode that was set elsewhere, such as a code of Tencent Cloud, has no button, and says its own name.
    const text = MODES[action].includes(mode) ? say(`${mode}Means`) : mode;
    const means = place.querySelector(`[data-means=${action}]`);
    if (means.textContent !== text) means.textContent = text;
  }
}

// Show what is set now: a failure that was to happen once is over when it has happened.
export async function showFailures(get) {
  const before = changes;
  const found = await get("/_local/failures");
  if (pending || changes !== before) return;
  Object.assign(present, found);
  paint();
}

onLanguage(draw);
