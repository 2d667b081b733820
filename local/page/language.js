// The page's language, and its words for people.
import { errorWords } from "./error_words.js";
import { fateWords } from "./fate_words.js";
import { words } from "./words.js";

const CHOICE = "sms-login.language";
const watchers = [];
let current = localStorage.getItem(CHOICE) || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

export const language = () => current;
export const onLanguage = (watcher) => watchers.push(watcher);

export function setLanguage(chosen) {
  current = chosen;
  localStorage.setItem(CHOICE, chosen);
  translate();
}

// Put the words into everything that names some, then tell those who write theirs themselves.
export function translate() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.ariaLabel = say(element.dataset.label);
  for (const watcher of watchers) watcher();
}

export const say = (name, values = {}) => fill(words[current][name], values);

// What to tell a person of a message: a name in fateWords, and the seconds until it arrived.
export const sayFate = (name, after) => fill(fateWords[current][name], { wait: after ? duration(after) : "" });

// What to tell a person who got a refusal: an answer of api.js.
export function explain(refusal) {
  // The function says what is wrong with this number; the page knows only what that may be.
  if (refusal.name === "InvalidPhone" && refusal.language === current) return sentence(refusal.message);
  const left = refusal.data.attemptsLeft;
  const known = errorWords[current];
  const name = refusal.name === "CodeIsError" && left === 0 ? "NoAttemptsLeft" : refusal.name;
  const wait = refusal.retryAfter ? duration(refusal.retryAfter) : known.Later;
  const text = fill(known[name] ?? known.InternalError, { left, wait, detail: refusal.message });
  return text.replace(/(\p{Script=Han}) (?=\p{Script=Han})/gu, "$1"); // what fills a gap may be Chinese or a number
}

const sentence = (text) => (/\p{Script=Han}$/u.test(text) ? `${text}。` : text);

// A number of seconds, for a person: "45 s", "4:05", "5 h 12 min". In Chinese "4:05" would be a time of day.
export function duration(seconds) {
  const zh = current === "zh";
  if (seconds < 60) return zh ? `${seconds} 秒` : `${seconds} s`;
  if (seconds < 3600) {
    const [minutes, rest] = [Math.floor(seconds / 60), String(seconds % 60).padStart(2, "0")];
    return zh ? `${minutes} 分 ${rest} 秒` : `${minutes}:${rest}`;
  }
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours >= 48) return zh ? `${Math.floor(hours / 24)} 天` : `${Math.floor(hours / 24)} days`;
  return zh ? `${hours} 小时 ${minutes} 分` : `${hours} h ${minutes} min`;
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
