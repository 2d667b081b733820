import { code, phone, url } from "./code";
import { getSms, getUserInfo, login, refresh } from "./orval/api";

const { fetch } = globalThis; // the generated client has the paths alone
globalThis.fetch = (path, options) => fetch(String(path).startsWith("/") ? url + path : path, options);
const sent = await getSms({ phone });
if (sent.status !== 200) throw new Error(sent.data.codeStr);
const user = await login({ phone, code: await code(), sessionId: sent.data.data.sessionId });
if (user.status !== 200) throw new Error(user.data.codeStr);
const info = await getUserInfo({ headers: { Authorization: `Bearer ${user.data.data.token}` } });
const again = await refresh({ refreshToken: user.data.data.refreshToken });
const refused = await login({ phone, code: "000000" });
if (info.status !== 200 || again.status !== 200 || refused.status === 200) throw new Error("unexpected status");
console.log(info.data.data.phone, again.data.data.phone, refused.data.codeStr);
