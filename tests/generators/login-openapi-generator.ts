import { code, phone, url } from "./code";
import { Configuration, ResponseError, SessionApi, SignInApi, UserApi } from "./openapi-generator";

const signIn = new SignInApi(new Configuration({ basePath: url }));
const sent = await signIn.getSms({ getSmsRequest: { phone } });
const loginRequest = { phone, code: await code(), sessionId: sent.data.sessionId };
const user = await signIn.login({ loginRequest });
const info = await new UserApi(new Configuration({ basePath: url, accessToken: user.data.token })).getUserInfo();
const refreshRequest = { refreshToken: user.data.refreshToken };
const again = await new SessionApi(new Configuration({ basePath: url })).refresh({ refreshRequest });
const refused: ResponseError = await signIn.login({ loginRequest: { phone, code: "000000" } }).catch((error) => error);
console.log(info.data.phone, again.data.phone, (await refused.response.json()).codeStr);
