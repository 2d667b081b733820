import { code, phone, url } from "./code";
import { Api } from "./swagger-typescript-api/api";

const securityWorker = (token: string | null) => ({ headers: { Authorization: `Bearer ${token}` } });
const api = new Api<string>({ baseUrl: url, securityWorker });
const sent = await api.getSms.getSms({ phone });
const user = await api.login.login({ phone, code: await code(), sessionId: sent.data.data.sessionId });
api.setSecurityData(user.data.data.token);
const info = await api.getUserInfo.getUserInfo();
const again = await api.refresh.refresh({ refreshToken: user.data.data.refreshToken });
const refused = await api.login.login({ phone, code: "000000" }).catch((answer) => answer);
console.log(info.data.data.phone, again.data.data.phone, refused.error.codeStr);
