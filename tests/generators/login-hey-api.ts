import { code, phone, url } from "./code";
import { getSms, getUserInfo, login, refresh } from "./hey-api";
import { client } from "./hey-api/client.gen";

client.setConfig({ baseUrl: url });
const sent = await getSms({ body: { phone }, throwOnError: true });
const body = { phone, code: await code(), sessionId: sent.data.data.sessionId };
const user = await login({ body, throwOnError: true });
const info = await getUserInfo({ auth: user.data.data.token, throwOnError: true });
const again = await refresh({ body: { refreshToken: user.data.data.refreshToken }, throwOnError: true });
const refused = await login({ body: { phone, code: "000000" } });
console.log(info.data.data.phone, again.data.data.phone, refused.error?.codeStr);
