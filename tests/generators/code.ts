/** The URL and the number to log in with, and the code that was sent last. */
export const [url, phone] = process.argv.slice(2) as [string, string];

export async function code(): Promise<string> {
  const inbox = await fetch(`${url}/_local/inbox?phone=${encodeURIComponent(phone)}`);
  const [message] = (await inbox.json()) as [{ params: [string] }];
  return message.params[0];
}
