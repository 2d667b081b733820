import createClient from "openapi-fetch";
import { code, phone, url } from "./code";
import type { paths } from "./openapi-typescript/api";

const api = createClient<paths>({ baseUrl: url });
const sent = await api.POST("/getSms", { body: { phone } });
if (!sent.data) throw new Error(sent.error.codeStr);
const user = await api.POST("/login", { body: { phone, code: await code(), sessionId: sent.data.data.sessionId } });
if (!user.data) throw new Error(user.error.codeStr);
const info = await api.POST("/getUserInfo", { headers: { Authorization: `Bearer ${user.data.data.token}` } });
const again = await api.POST("/refresh", { body: { refreshToken: user.data.data.refreshToken } });
const refused = await api.POST("/login", { body: { phone, code: "000000" } });
console.log(info.data?.data.phone, again.data?.data.phone, refused.error?.codeStr);
// @ts-expect-error A misspelt parameter does not compile.
void (() => api.POST("/refresh", { body: { refreshTokn: "" } }));
