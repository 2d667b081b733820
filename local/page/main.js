// Puts the page together: the phone on the left, and on the right what the phone's user never sees.
import { enter } from "./code_entry.js";
import { showFailures } from "./failures.js";
import { dismiss, redrawInbox, showInbox } from "./inbox.js";
import { language, say, onLanguage, setLanguage, translate } from "./language.js";
import { state } from "./paint.js";
import { start } from "./phone.js";
import { paintExpiries, showRedis } from "./redis_keys.js";
import { showRequests } from "./requests.js";
import { shown } from "./screens.js";

const hint = document.querySelector("#inbox-hint");

function fill(code) {
  const asking = shown() === "code";
  hint.textContent = asking ? "" : say("notAsking");
  if (asking) enter(code);
  dismiss();
}

async function get(path) {
  const response = await fetch(path);
  return response.ok ? response.json() : Promise.reject(new Error(`${response.status}`));
}

// Look at inbox, Redis and switches. Each look is by itself: Redis may be away.
let looking = false;
let again = false; // something happened while we looked
async function look() {
  again = looking;
  if (looking || document.hidden) return;
  looking = true;
  const { number } = state;
  const keys = number ? get(`/_local/redis?phone=${encodeURIComponent(number)}`).catch(() => null) : null;
  await Promise.allSettled([
    get("/_local/inbox").then((messages) => showInbox(messages, { phone: number, fill })),
    Promise.resolve(keys).then((found) => showRedis(number, found)),
    showFailures(get),
  ]);
  looking = false;
  if (again) look();
}

const button = document.querySelector("#language");
button.addEventListener("click", () => setLanguage(language() === "zh" ? "en" : "zh"));
onLanguage(() => {
  button.textContent = say("otherLanguage");
  button.lang = language() === "zh" ? "en" : "zh-CN";
});
redrawInbox(fill);
showRequests(look);
start();
translate();
look();
setInterval(look, 1000);
setInterval(paintExpiries, 1000);
document.addEventListener("visibilitychange", look);
