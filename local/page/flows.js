// The uses of a code: signing in, deleting the account, and the flows of docs/purposes.md.
import { call } from "./api.js";
import { element } from "./dom.js";
import { put, screen, show } from "./screens.js";
import * as session from "./session.js";

// By use: the screen that asks for the code, the words of the code's screen and of what follows, and the parameters of
// getSms and verify.
export const uses = {
  logIn: { from: "number", title: "enterCode", button: "logIn", done: "welcomeBack", bound: {} },
  delete: { from: "farewell", title: "deleteAccount", button: "deleteNow", bound: {} },
  resetPassword: { from: "flow", title: "resetPassword", button: "confirm", bound: { purpose: "resetPassword" } },
  pay: { from: "flow", title: "pay", button: "confirm", bound: { purpose: "pay", detail: "order 4711, 99.00 CNY" } },
  changePhone: { from: "flow", title: "changePhone", button: "confirm", bound: { purpose: "changePhone" } },
  newNumber: {
    from: "new-number",
    title: "changePhone",
    button: "confirm",
    done: "numberChanged",
    bound: { purpose: "changePhone" },
  },
};

let proof = null; // of the present number, until the new one has its code

// Bring the code to the method that it is for.
export function redeem({ purpose: use, phone, sessionId }, code) {
  if (use === "logIn") return call("login", { phone, code, sessionId }, { once: true });
  if (use === "delete") return session.signedIn("deleteAccount", { code, sessionId });
  if (use === "newNumber") return session.signedIn("changePhone", { proof, phone, code, sessionId }, { once: true });
  return call("verify", { phone, code, sessionId, ...uses[use].bound }, { once: true });
}

// Go on with a proof: to the number that takes the present one's place, or to what an app's service reads in it.
export function goOn(use, data) {
  proof = data.proof;
  if (use === "changePhone") {
    document.querySelector("#new-phone").value = "";
    return show("new-number", { focus: "#new-phone" });
  }
  const claims = JSON.parse(atob(proof.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  const rows = ["purpose", "phone", "detail", "amr", "jti"].filter((name) => name in claims);
  const pairs = rows.flatMap((name) => [element("dt", {}, name), element("dd", {}, `${claims[name]}`)]);
  document.querySelector("#claims").replaceChildren(...pairs);
  show("proof");
}

export function paintFlow(use, say) {
  put(screen("flow").querySelector("h2"), say(use));
  put(screen("flow").querySelector(".lead"), say(`${use}Lead`));
}
