// Runs the page of a Mini Program under node: `node miniprogram.js URL PHONE`, with the code on standard input.
// `wx` sends requests as a phone does, without Origin; `crypto` is missing, as it is there.
const { createInterface } = require("node:readline/promises");

const [url, phone] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const storage = new Map();
Object.defineProperty(globalThis, "crypto", { value: undefined });

globalThis.wx = {
  getStorageSync: (key) => storage.get(key) ?? "",
  setStorageSync: (key, value) => storage.set(key, structuredClone(value)),
  removeStorageSync: (key) => storage.delete(key),
  async request({ url: target, method, header, data, timeout, success, fail }) {
    try {
      const options = { method, headers: header, body: JSON.stringify(data), signal: AbortSignal.timeout(timeout) };
      const response = await fetch(target.replace("https://login.example.com", url), options);
      const text = await response.text();
      let body = text;
      try { body = JSON.parse(text); } catch { /* the text is handed over as it is */ }
      success({ statusCode: response.status, data: body });
    } catch (error) {
      fail({ errMsg: `request:fail ${error.message}` });
    }
  },
};

globalThis.Page = async (page) => {
  page.setData = (update) => {
    Object.assign(page.data, update);
    console.log(JSON.stringify(update));
  };
  page.typePhone({ detail: { value: phone } });
  await page.sendCode();
  while (page.data.wait > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  await page.sendCode();
  page.typeCode({ detail: { value: (await lines.next()).value } });
  await page.logIn();
  await page.logOut();
  page.onUnload();
  process.exit(storage.size);
};

require("../../clients/miniprogram/login.js");
