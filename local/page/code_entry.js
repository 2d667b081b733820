// The input of six digits: it takes what a person types, pastes, or what the browser reads from the message.
const LENGTH = 6;
const DEAD = ["CodeHasExpired", "CodeHasValid", "SessionMismatch", "PhoneTaken"];
const input = document.querySelector("#digits");
const boxes = [...document.querySelectorAll(".digits span")];
let listening = null; // to the browser's messages, see listen()

export const typed = () => input.value;

export function clear({ focus = true } = {}) {
  input.value = "";
  mark();
  if (focus) input.focus({ preventScroll: true });
}

// Take no more digits, since no code is right any more; and take them again.
export function kill() {
  clear({ focus: false });
  input.readOnly = true;
}

export function revive() {
  input.readOnly = false;
  clear();
}

// Mark the box of the next digit.
function mark() {
  boxes.forEach((box, index) => box.classList.toggle("next", index === Math.min(input.value.length, LENGTH - 1)));
}

// Put a code in, as if it had been typed.
export function enter(code) {
  input.value = code;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

// Call `full` as soon as there are six digits.
export function onFull(full) {
  input.addEventListener("input", () => {
    // Full-width digits are digits, too; "123 456 is your code" may be pasted as it is.
    const digits = input.value.normalize("NFKC").replace(/[^0-9]/g, "").slice(0, LENGTH);
    if (input.value !== digits) input.value = digits;
    mark();
    if (digits.length === LENGTH) full();
  });
}

export const isFull = () => input.value.length === LENGTH;

// Tell whether a refusal means that nothing one could type is right any more: it takes a new code.
export const isDead = (refusal) => DEAD.includes(refusal.name) || refusal.data.attemptsLeft === 0;

// Ask the browser for the code in the next message (WebOTP). Few have it, and only for messages whose last line is
// "@host #code"; everywhere else autocomplete="one-time-code" offers the code above the keyboard.
export async function listen() {
  stopListening();
  if (!("OTPCredential" in window)) return;
  const ours = new AbortController();
  listening = ours;
  try {
    const message = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: ours.signal });
    if (message?.code && !ours.signal.aborted) enter(message.code);
  } catch {
    // Refused, too late, or we no longer want it: the person types the code.
  }
}

export function stopListening() {
  listening?.abort();
  listening = null;
}
