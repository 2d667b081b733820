// The page of login.wxml.
const { SmsLogin, countdown } = require("./sms-login.js");

const login = new SmsLogin("https://login.example.com");

Page({
  data: { phone: "", code: "", wait: 0, sent: false, problem: "", user: null },

  typePhone(event) {
    this.setData({ phone: event.detail.value });
    this.sessionId = undefined; // it belongs to a number
  },

  typeCode(event) {
    this.setData({ code: event.detail.value });
  },

  async sendCode() {
    try {
      const more = this.sessionId ? { sessionId: this.sessionId } : {};
      const { sessionId, resendAfter } = await login.sendCode(this.data.phone, more);
      this.sessionId = sessionId;
      this.setData({ sent: true, problem: "" });
      this.stop = countdown(resendAfter, (wait) => this.setData({ wait }));
    } catch (error) {
      this.fail(error);
    }
  },

  async logIn() {
    try {
      await login.logIn(this.data.phone, this.data.code, this.sessionId);
      // Both at once: one of them refreshes if the token has expired.
      const [user] = await Promise.all([login.call("getUserInfo"), login.call("getUserInfo")]);
      this.setData({ user, problem: "" });
    } catch (error) {
      this.fail(error);
    }
  },

  async logOut() {
    await login.logOut();
    this.setData({ user: null, sent: false, code: "" });
  },

  fail(error) {
    this.setData({ problem: error.message });
    if (error.retryAfter) this.stop = countdown(error.retryAfter, (wait) => this.setData({ wait }));
  },

  onUnload() {
    if (this.stop) this.stop();
  },
});
