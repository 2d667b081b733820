// Where a real app opens Tencent Captcha. The stand-in gives tickets of each kind, so that a refusal can be seen, too.
import { say } from "./language.js";

const dialog = document.querySelector("#captcha");
const screens = document.querySelector("#screens");

// Ask the person; gives { captchaTicket, captchaRandstr }, or null if they cancel. `refused`: the last ticket was bad.
export async function solve({ refused }) {
  const before = document.activeElement;
  dialog.querySelector(".error").textContent = refused ? say("captchaRefused") : "";
  screens.inert = true; // what lies behind it waits; the console does not
  dialog.show();
  dialog.querySelector("[data-kind=good]").focus();
  const kind = await choice();
  dialog.close();
  screens.inert = false;
  before?.focus();
  return kind ? ticket(kind) : null;
}

function choice() {
  return new Promise((resolve) => {
    dialog.onclick = ({ target }) => {
      const button = target.closest("[data-kind]");
      if (button) resolve(button.dataset.kind);
    };
    dialog.onkeydown = ({ key }) => {
      if (key === "Escape") resolve("");
    };
  });
}

async function ticket(kind) {
  try {
    const response = await fetch(`/_local/captcha?kind=${kind}`, { method: "POST" });
    const { ticket, randstr } = await response.json();
    return { captchaTicket: ticket, captchaRandstr: randstr };
  } catch {
    return {}; // without one the function asks again, or does not answer, either
  }
}
