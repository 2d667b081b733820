// Being signed in. The access token stays in memory: it dies with the page, and no script finds it in a store.
import { call } from "./api.js";

// The refresh token survives a reload, so it has to be kept somewhere. This page keeps it where every script of the
// origin can read it, to stay one page. A real app uses the Keychain or Keystore; a real web app may prefer to hand it to
// its own backend, which keeps it in a cookie that scripts cannot read (HttpOnly, Secure, SameSite=Strict).
const KEPT = "sms-login.refreshToken";
const EARLY = 30_000; // ms before its end at which an access token is renewed
let access = null;

export const maySignIn = () => localStorage.getItem(KEPT) !== null;
export const isOver = (answer) => ["TokenInvalid", "TokenExpired", "TokenMismatch", "NotRegistered"].includes(answer.name);

export function begin(data) {
  access = { token: data.token, until: Date.now() + data.expiresIn * 1000 - EARLY };
  localStorage.setItem(KEPT, data.refreshToken);
}

export function forget() {
  access = null;
  localStorage.removeItem(KEPT);
}

// Get new tokens. Without an answer ask again at once: the same refresh token counts for ten seconds more, and later it
// would end the session. The old ones are kept then.
export async function refresh() {
  const ask = () => call("refresh", { refreshToken: localStorage.getItem(KEPT) ?? "" }); // another tab may have renewed it
  let answer = await ask();
  if (answer.status === 0) answer = await ask();
  if (answer.ok) begin(answer.data);
  else if (isOver(answer)) forget();
  return answer;
}

// Call a method with the access token, renewed first where it is needed.
export async function signedIn(method, params, options) {
  if (!access || Date.now() >= access.until) {
    const renewed = await refresh();
    if (!renewed.ok) return renewed;
  }
  const answer = await call(method, { token: access.token, ...params }, options);
  if (answer.name !== "TokenExpired") return answer; // this machine's clock may be slow
  const renewed = await refresh();
  return renewed.ok ? call(method, { token: access.token, ...params }, options) : renewed;
}

// End the session, or all of the user's. It is over on this device, too, unless nobody heard us.
export async function end({ everywhere }) {
  const answer = await call("logout", { refreshToken: localStorage.getItem(KEPT) ?? "", ...(everywhere && { everywhere }) });
  if (answer.ok || isOver(answer)) forget();
  return answer;
}
