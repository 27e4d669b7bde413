// The page's half of a session: a code from the link is exchanged once, and the token stays with this port's pages.

const KEPT = "attnscope-token";
const ASK_MS = 400;
const tabs = new BroadcastChannel("attnscope-session");

let token = "";

/** Return the headers that a question needs. */
export const headers = () => ({ "X-Attnscope-Page": token });

/** Take the code out of the address before anything else can read it; return it. */
function codeOfAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  const code = said.get("code");
  if (code === null) return null;
  said.delete("code");
  history.replaceState(null, "", `#${said}`);
  return code;
}

async function exchanged(code) {
  const answer = await fetch("/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code }),
  });
  return answer.ok ? (await answer.json()).token : "";
}

/** Ask the other tabs of this page, which alone can hear it, for their token. */
function ofAnotherTab() {
  return new Promise((resolve) => {
    const hear = (event) => {
      if (typeof event.data.token === "string") end(event.data.token);
    };
    const end = (found) => {
      clearTimeout(giveUp);
      tabs.removeEventListener("message", hear);
      resolve(found);
    };
    const giveUp = setTimeout(end, ASK_MS, "");
    tabs.addEventListener("message", hear);
    tabs.postMessage({ asks: true });
  });
}

/** Take the token of another tab, because this one's was refused: a server that was started again knows no old one. */
export async function renew() {
  token = "";
  sessionStorage.removeItem(KEPT);
  token = await ofAnotherTab();
  if (token) sessionStorage.setItem(KEPT, token);
}

/** Return whether this tab may ask; a code in the address counts first. */
export async function enter() {
  const code = codeOfAddress();
  if (code !== null) token = await exchanged(code);
  token ||= sessionStorage.getItem(KEPT) || (await ofAnotherTab());
  if (token) sessionStorage.setItem(KEPT, token);
  tabs.addEventListener("message", (event) => {
    if (event.data.asks && token) tabs.postMessage({ token });
  });
  return Boolean(token);
}
