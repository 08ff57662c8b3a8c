// Logging in and out, and which view is shown.

import { Api } from "./api.js";
import { dismiss } from "./dialog.js";
import { write } from "./dom.js";
import { Engine } from "./engine.js";
import { Identities } from "./identities.js";

const byID = (id) => document.getElementById(id);
const form = byID("log-in");
const token = byID("token");

// refreshAfter is how long what is shown may be old, in milliseconds.
const refreshAfter = 2000;

let session = null; // of who is logged in

function say(text) {
  write(byID("said"), text);
}

async function logIn() {
  const api = new Api(token.value.trim());
  token.value = "";
  try {
    const { identities } = await api.call("IdentityService/ListIdentities", { waitingDevices: true });
    const administrator = await api.call("DaemonService/GetStats").then(() => true, () => false);
    session = { api, views: { identities: new Identities(byID("identities"), api, identities ?? [], say) } };
    if (administrator) session.views.engine = new Engine(byID("engine"), api);
  } catch (error) {
    api.close();
    say(error.message);
    token.focus();
    return;
  }
  form.hidden = true;
  byID("views").hidden = false;
  byID("to-engine").hidden = !session.views.engine;
  say("Logged in.");
  show("identities");
  refresh(session);
}

function logOut(why) {
  session?.api.close();
  session = null;
  dismiss();
  for (const view of ["identities", "engine"]) {
    byID(view).replaceChildren();
    byID(view).hidden = true;
  }
  byID("views").hidden = true;
  form.hidden = false;
  say(why);
  token.focus();
}

function show(name) {
  session.shown = name;
  for (const view of ["identities", "engine"]) {
    byID(view).hidden = view !== name;
    byID(`to-${view}`).setAttribute("aria-current", view === name ? "page" : "false");
  }
  byID("main").focus({ preventScroll: true });
  update(session);
}

// update asks for what is shown. Of who has logged out nothing is shown any more.
async function update(of) {
  try {
    await of.views[of.shown].update();
    if (of === session && of.lost) say("The daemon answers again.");
    of.lost = false;
  } catch (error) {
    if (of !== session) return;
    if (error.code === "unauthenticated") {
      logOut("The token is not good any more.");
    } else if (!of.lost) {
      of.lost = true;
      say(error.message);
    }
  }
}

async function refresh(of) {
  while (of === session) {
    if (!document.hidden) await update(of);
    await new Promise((resolve) => setTimeout(resolve, refreshAfter));
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  logIn();
});
byID("log-out").addEventListener("click", () => logOut("Logged out."));
byID("to-identities").addEventListener("click", () => show("identities"));
byID("to-engine").addEventListener("click", () => show("engine"));
token.focus();
