/**
 * Signs a person in by SMS. For web pages, and for Node 20 or newer.
 * `npx openapi-typescript openapi.json -o api.d.ts` makes the types.
 */
import type { components, operations } from "./api.d.ts";

type Schemas = components["schemas"];
type Method = Exclude<keyof operations, "health" | "jwks" | "smsReceipt">;
type Params<M extends Method> = operations[M] extends { requestBody?: { content: { "application/json": infer Body } } }
  ? operations[M] extends { requestBody?: never } ? Record<string, never> : Body
  : never;
type Data<M extends Method> = operations[M]["responses"][200]["content"]["application/json"]["data"];
export type Tokens = Pick<Schemas["LoggedIn"], "token" | "refreshToken">;

export class Refused extends Error {
  readonly code: string;
  readonly data: Schemas["Refusal"]["data"];
  readonly retryAfter: number | undefined;

  constructor(answer: Schemas["Refusal"]) {
    super(answer.errorMessage);
    this.code = answer.codeStr;
    this.data = answer.data;
    this.retryAfter = answer.retryAfter;
  }
}

export class SmsLogin {
  readonly #url: string;
  readonly #save: (tokens: Tokens | null) => void;
  #tokens: Tokens | null;
  #refreshing: Promise<void> | null = null;

  /** `tokens` are those of the last time, if any; `save` keeps new ones, and null once they are of no more use. */
  constructor(url: string, tokens: Tokens | null, save: (tokens: Tokens | null) => void) {
    this.#url = url;
    this.#tokens = tokens;
    this.#save = save;
  }

  /** `more`: sessionId to send the same code again; captchaTicket and captchaRandstr after CaptchaRequired. */
  async sendCode(phone: string, more: Omit<Params<"getSms">, "phone"> = {}): Promise<{ sessionId: string; resendAfter: number }> {
    try {
      return await this.#send("getSms", { phone, ...more });
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "SendUnknown") throw error;
      return { sessionId: error.data.sessionId ?? "", resendAfter: error.data.resendAfter ?? 31 }; // it may arrive
    }
  }

  async logIn(phone: string, code: string, sessionId: string): Promise<Data<"login">> {
    const user = await this.#send("login", { phone, code, sessionId });
    this.#keep(user);
    return user;
  }

  /** Calls a method with the token of the login, and refreshes it if it has expired. */
  async call<M extends Method>(method: M, params: Params<M>): Promise<Data<M>> {
    const used = this.#tokens;
    if (!used) throw new Error("signed out");
    try {
      return await this.#send(method, params, used.token);
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "TokenExpired") throw this.#ended(error, used);
    }
    if (this.#tokens === used) await this.#refresh(used);
    return this.#send(method, params, this.#tokens?.token);
  }

  async logOut(): Promise<void> {
    const used = this.#tokens;
    this.#keep(null); // signed out here, even if the function does not hear of it
    if (used) await this.#send("logout", { refreshToken: used.refreshToken }).catch(() => {});
  }

  /** Calls that expire together share one refresh. */
  #refresh(used: Tokens): Promise<void> {
    this.#refreshing ??= this.#send("refresh", { refreshToken: used.refreshToken })
      .then((user) => this.#keep(user), (error) => { throw this.#ended(error, used); })
      .finally(() => { this.#refreshing = null; });
    return this.#refreshing;
  }

  /** Forgets the tokens of a session that has ended: show the login. */
  #ended(error: unknown, used: Tokens): unknown {
    const over = error instanceof Refused && ["TokenInvalid", "NotRegistered"].includes(error.code);
    if (over && this.#tokens === used) this.#keep(null);
    return error;
  }

  #keep(tokens: Tokens | null): void {
    this.#tokens = tokens && { token: tokens.token, refreshToken: tokens.refreshToken };
    this.#save(this.#tokens);
  }

  /** Repeats a request whose answer was lost, once and with the same key: it sends no second SMS. */
  async #send<M extends Method>(method: M, params: Params<M>, token?: string): Promise<Data<M>> {
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // crypto.randomUUID is for HTTPS only
    const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    try {
      return await this.#post(method, params, key, token);
    } catch (error) {
      if (error instanceof Refused && error.code !== "ServiceUnavailable") throw error;
      return this.#post(method, params, key, token);
    }
  }

  async #post<M extends Method>(method: M, params: Params<M>, key: string, token?: string): Promise<Data<M>> {
    const headers: Record<string, string> = { "Content-Type": "application/json", "Idempotency-Key": key };
    if (token) headers["Authorization"] = `Bearer ${token}`;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), 8_000); // the repeat of a refresh must not come too late
    try {
      const request = { method: "POST", headers, body: JSON.stringify(params), signal: timeout.signal };
      const answer = await (await fetch(`${this.#url}/${method}`, request)).json();
      if (!answer.codeStr) throw new Error("not an answer of the function's");
      if (answer.errorCode !== 0) throw new Refused(answer);
      return answer.data;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Shows the seconds left, down to 0. The clock counts, since the timers of a hidden page stand still. Returns a stop. */
export function countdown(seconds: number, show: (left: number) => void): () => void {
  const end = Date.now() + seconds * 1_000;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1_000));
    if (left > 0) timer = setTimeout(tick, 1_000);
    show(left);
  };
  tick();
  return () => clearTimeout(timer);
}
