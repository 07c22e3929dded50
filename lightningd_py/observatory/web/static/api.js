// The server's answers. The token, if one is asked for, goes into a header and nowhere else: not into a cookie, and not
// into an address that is kept.

const KEY = "token";

export class Locked extends Error {}

export function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found) {
    sessionStorage.setItem(KEY, found);
    history.replaceState(null, "", location.pathname);
  }
}

export const setToken = (token) => sessionStorage.setItem(KEY, token);

function ask(path, signal) {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(path, { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" });
}

async function good(answer) {
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Locked();
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error || `the server answers ${answer.status}`);
}

export async function get(path, signal) {
  return (await good(await ask(path, signal))).json();
}

// Calls `hear` with each line, for ever; `away` with one sentence while the server does not answer. No stream is open
// while the page is hidden: a browser has six connections for all its tabs.
export async function follow(path, hear, away) {
  for (;;) {
    await shown();
    const end = new AbortController();
    const hide = () => document.hidden && end.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      await lines(await good(await ask(path, end.signal)), hear);
    } catch (error) {
      if (error instanceof Locked) throw error;
      if (!document.hidden) away("the page's server does not answer; it is tried again");
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
    await new Promise((done) => setTimeout(done, 1500));
  }
}

function shown() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

async function lines(answer, hear) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const found = (rest + value).split("\n");
    rest = found.pop();
    found.forEach((line) => hear(JSON.parse(line)));
  }
}
