// Signs a person in by SMS, in a WeChat Mini Program. The host of `url` must be among the program's request domains.
const STORED = "sms-login"; // the key of the tokens in the storage

class Refused extends Error {
  constructor(answer) {
    super(answer.errorMessage);
    this.code = answer.codeStr;
    this.data = answer.data;
    this.retryAfter = answer.retryAfter;
  }
}

class SmsLogin {
  constructor(url) {
    this.url = url;
    this.refreshing = null;
  }

  get signedIn() {
    return Boolean(wx.getStorageSync(STORED));
  }

  // `more`: sessionId to send the same code again; captchaTicket and captchaRandstr after CaptchaRequired.
  async sendCode(phone, more = {}) {
    try {
      return await this.send("getSms", { phone, ...more });
    } catch (error) {
      if (error.code === "SendUnknown") return error.data; // it may arrive, and its code works
      throw error; // TooManyRequests: wait error.retryAfter; CaptchaRequired: show error.data.captchaAppId
    }
  }

  async logIn(phone, code, sessionId) {
    const user = await this.send("login", { phone, code, sessionId });
    this.keep(user);
    return user;
  }

  // Calls a method with the token of the login, and refreshes it if it has expired.
  async call(method, params = {}) {
    const used = wx.getStorageSync(STORED);
    if (!used) throw new Error("signed out");
    try {
      return await this.send(method, params, used.token);
    } catch (error) {
      if (error.code !== "TokenExpired") throw this.ended(error, used);
    }
    if (wx.getStorageSync(STORED).token === used.token) await this.refresh(used);
    return this.send(method, params, wx.getStorageSync(STORED).token);
  }

  async logOut() {
    const used = wx.getStorageSync(STORED);
    this.keep(null); // signed out here, even if the function does not hear of it
    if (used) await this.send("logout", { refreshToken: used.refreshToken }).catch(() => {});
  }

  // Calls that expire together share one refresh.
  refresh(used) {
    if (!this.refreshing) {
      this.refreshing = this.refreshOnce(used);
      const end = () => { this.refreshing = null; };
      this.refreshing.then(end, end);
    }
    return this.refreshing;
  }

  async refreshOnce(used) {
    try {
      this.keep(await this.send("refresh", { refreshToken: used.refreshToken }));
    } catch (error) {
      throw this.ended(error, used);
    }
  }

  // Forgets the tokens of a session that has ended: show the login.
  ended(error, used) {
    const over = error.code === "TokenInvalid" || error.code === "NotRegistered";
    if (over && wx.getStorageSync(STORED).token === used.token) this.keep(null);
    return error;
  }

  keep(tokens) {
    if (tokens) wx.setStorageSync(STORED, { token: tokens.token, refreshToken: tokens.refreshToken });
    else wx.removeStorageSync(STORED);
  }

  // Repeats a request whose answer was lost, once and with the same key: it sends no second SMS.
  async send(method, params, token) {
    const digit = () => Math.floor(Math.random() * 16).toString(16); // unguessable enough for the minutes that a key counts
    const key = Array.from({ length: 32 }, digit).join("");
    try {
      return await this.post(method, params, key, token);
    } catch (error) {
      if (error instanceof Refused && error.code !== "ServiceUnavailable") throw error;
      return this.post(method, params, key, token);
    }
  }

  post(method, params, key, token) {
    const header = { "Content-Type": "application/json", "Idempotency-Key": key };
    if (token) header.Authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
      wx.request({
        url: `${this.url}/${method}`,
        method: "POST",
        header,
        data: params,
        timeout: 8000, // the repeat of a refresh must not come too late
        success({ data: answer }) {
          if (!answer || !answer.codeStr) reject(new Error("not an answer of the function's"));
          else if (answer.errorCode !== 0) reject(new Refused(answer));
          else resolve(answer.data);
        },
        fail: ({ errMsg }) => reject(new Error(errMsg)),
      });
    });
  }
}

// Shows the seconds left, down to 0. The clock counts, since the timers of a hidden program stand still. Returns a stop.
function countdown(seconds, show) {
  const end = Date.now() + seconds * 1000;
  let timer;
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    if (left > 0) timer = setTimeout(tick, 1000);
    show(left);
  };
  tick();
  return () => clearTimeout(timer);
}

module.exports = { SmsLogin, Refused, countdown };
