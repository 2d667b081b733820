/** A whole login in a terminal: `node login.js [URL] [PHONE]`. */
import { createInterface } from "node:readline/promises";
import { SmsLogin, countdown } from "./client.js";

const [url = "http://127.0.0.1:9000", phone = "+8613800138000"] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const login = new SmsLogin(url, null, () => {}); // an app keeps the tokens

const { sessionId, resendAfter } = await login.sendCode(phone);
await new Promise<void>((done) => {
  countdown(resendAfter, (left) => (left ? console.log(`Send again in ${left} s`) : done()));
});
const again = await login.sendCode(phone, { sessionId });
console.log("Code:");
await login.logIn(phone, (await lines.next()).value, again.sessionId);

// Both at once: one of them refreshes if the token has expired.
const [user] = await Promise.all([login.call("getUserInfo", {}), login.call("getUserInfo", {})]);
console.log(`Signed in as ${user.phone}`);
await login.logOut();
process.exit();
