// The input of a number, and the picker of its country.
import { callingCode, fillCountries } from "./countries.js";
import { language, onLanguage } from "./language.js";
import { put } from "./screens.js";

const EXAMPLES = { CN: "138 0013 8000" }; // of the country that most begin with; nothing is better than a wrong one
const country = document.querySelector("#country");
const input = document.querySelector("#phone");
let allowed = ["*"]; // ISO codes of the countries whose numbers the function serves; * for all

// The number with its calling code, as the function takes it; "" where nothing is typed.
export function typed() {
  // It may be pasted from an address book, with dashes of any kind and marks for the direction of writing.
  const number = input.value.normalize("NFKC").replace(/[\s().\p{Dash}\p{Cf}]/gu, "");
  return !number || number.startsWith("+") ? number : `+${callingCode(country.value)}${number}`;
}

export const focus = () => input.focus();

// Write a Chinese number in its usual groups while it is typed; what a person edits or pastes stays as it is.
function group({ isComposing }) {
  const atItsEnd = input.selectionStart === input.value.length;
  if (isComposing || country.value !== "CN" || !atItsEnd || !/^[0-9 ]{1,13}$/.test(input.value)) return;
  const digits = input.value.replaceAll(" ", "");
  const grouped = [digits.slice(0, 3), digits.slice(3, 7), digits.slice(7)].filter(Boolean).join(" ");
  if (grouped !== input.value) input.value = grouped;
}

// Call `changed` when the number is another one; its country is a part of it.
export function onChange(changed) {
  input.addEventListener("input", (event) => {
    group(event);
    changed();
  });
  country.addEventListener("change", () => {
    put(document.querySelector("#calling"), `+${callingCode(country.value)}`);
    input.placeholder = EXAMPLES[country.value] ?? "";
    changed();
  });
  onLanguage(() => fillCountries(country, language(), allowed));
  fetch("/_local/countries").then((response) => response.json()).then((codes) => {
    allowed = codes;
    fillCountries(country, language(), allowed);
  }).catch(() => {}); // then they stand in one list
}
