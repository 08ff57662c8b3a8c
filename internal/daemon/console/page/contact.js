// One contact: what it is, and when it is opened what can be decided about it, the safety
// number, its devices and how it stands with the sessions.

import { deviceList } from "./devices.js";
import { ask } from "./dialog.js";
import { button, element, keyed, pairs, table, write } from "./dom.js";
import { count, short, time, word } from "./format.js";

const outlooks = {
  OUTLOOK_NEEDS_PREKEY: "No bundle of it is known: it gets nothing until its contact code is found or it writes.",
  OUTLOOK_NEEDS_NEWER_PREKEY: "Its prekey is too old to be used: it gets nothing until a newer bundle of it comes.",
  OUTLOOK_STARTS: "The next message to it starts a session.",
  OUTLOOK_REKEYS: "It has a newer prekey: the next message starts a new session in place of this one.",
  OUTLOOK_CONTINUES: "Messages go both ways on the session in use.",
  OUTLOOK_REPEATS: "It has not answered on the session in use: each message carries what starts it.",
};

// decisions are what can be decided, when, and what is asked before if anything.
const decisions = [
  {
    word: "Accept", done: "accepted", method: "AcceptContact", when: (contact) => contact.standing === "STANDING_REQUESTED" && !contact.blocked,
    question: "Its messages come as messages of a contact from then on, not as requests. Nothing is sent: it learns of it with the first message back.",
  },
  {
    word: "Block", done: "blocked", method: "BlockContact", when: (contact) => !contact.blocked,
    question: "Everything from it is refused from then on, in public chats too, and nothing can be sent to it. It does not learn of it. What has come stays. Unblock ends it.",
  },
  { word: "Unblock", done: "unblocked", method: "UnblockContact", when: (contact) => contact.blocked },
  {
    word: "Forget", done: "forgotten", method: "ForgetContact", when: (contact) => !contact.blocked,
    question: "All that is known of it is deleted: its sessions, and its messages that nobody has acknowledged. It does not learn of it. If it writes again, that is a new request. There is no way back.",
  },
];

export class Contact {
  node;
  #api;
  #whose;
  #standing = element("span", { class: "state" });
  #secrecy = element("span", { class: "hint" });
  #inside = null; // made when it is opened

  // changed is called when something was decided, and shows what is then.
  constructor(api, identity, key, say, changed) {
    this.#api = api;
    this.#whose = { identity, contact: key };
    const summary = element("summary", {}, element("span", { class: "key" }, short(key)), " ", this.#standing, " ", this.#secrecy);
    const buttons = decisions.map((one) => button(one.word, () => this.#decide(one, summary, say, changed), { "aria-label": `${one.word} contact ${short(key)}` }));
    const opened = element("details", {}, summary, element("span", { class: "actions" }, ...buttons));
    this.node = element("li", {}, opened);
    this.node.update = (contact) => {
      decisions.forEach((one, n) => { buttons[n].hidden = !one.when(contact); });
      write(this.#standing, word(contact.standing, "STANDING_") + (contact.blocked ? ", blocked" : ""));
      write(this.#secrecy, contact.forwardSecrecy ? "forward secrecy" : "no forward secrecy yet");
    };
    this.node.refresh = () => (opened.open ? this.#explain() : undefined);
    opened.addEventListener("toggle", () => {
      if (!opened.open) return;
      if (!this.#inside) this.#open(opened, say);
      this.#explain().catch((error) => say(error.message));
    });
  }

  async #decide(one, summary, say, changed) {
    const name = short(this.#whose.contact);
    if (one.question && !(await ask(`${one.word} ${name}?`, one.question, one.word))) return;
    try {
      await this.#api.call(`ContactService/${one.method}`, this.#whose);
      say(`Contact ${name} is ${one.done}.`);
      await changed();
      if (summary.isConnected) summary.focus(); // the button is hidden
    } catch (error) {
      say(error.message);
    }
  }

  #open(place, say) {
    const number = element("ol", { class: "number", "aria-label": "Safety number" });
    this.#inside = {
      facts: pairs(["Public key", "First seen", "Waits for the network", "Waits for the application"]),
      number,
      devices: deviceList("Devices of the contact", this.#api, this.#whose, say, () => this.#explain()),
      sessions: element("div"),
    };
    place.append(this.#inside.facts, element("h3", {}, "Safety number"), number,
      element("p", { class: "hint" }, "The contact sees the same one, if nobody stands between. Compare it by another way."),
      this.#inside.devices, element("h3", {}, "Sessions"), this.#inside.sessions);
  }

  async #explain() {
    const answer = await this.#api.call("ContactService/ExplainContact", this.#whose);
    const { facts, number, devices, sessions } = this.#inside;
    facts.update([this.#whose.contact, time(answer.contact.firstSeenUnixMs), messages(answer.unsent), messages(answer.unacknowledged)]);
    const groups = answer.safetyNumber.split(" ").map((digits, place) => ({ digits, place }));
    keyed(number, groups, (one) => one.place, () => {
      const node = element("li");
      node.update = (one) => write(node, one.digits);
      return node;
    });
    devices.update(answer.contact.devices ?? []);
    keyed(sessions, answer.devices ?? [], (one) => one.installation, sessionsOf);
  }
}

const messages = (n) => (n >= 1000 ? "1,000 messages or more" : n === 1 ? "1 message" : `${count(n)} messages`);

// sessionsOf is how it stands with one device.
function sessionsOf(device) {
  const outlook = element("p");
  const prekey = element("p", { class: "hint" });
  const all = table(`Sessions with ${device.installation}`, ["Session", "State", "Started", "Skipped keys"]);
  const node = element("div", {}, all, outlook, prekey);
  node.update = (now) => {
    write(outlook, outlooks[now.outlook] ?? "");
    write(prekey, now.prekey
      ? `Its prekey: version ${now.prekey.version ?? 0}, signed ${time(now.prekey.signedUnixMs)}${now.prekey.bySibling ? ", as another of its devices says" : ""}, usable until ${time(now.prekey.usableUntilUnixMs)}.`
      : "No prekey of it is known.");
    all.update((now.sessions ?? []).map((session) => [session.id.slice(0, 16), stateOf(session), `by ${session.startedByUs ? "us" : "it"}, ${time(session.createdUnixMs)}`, count(session.skippedKeys)]));
  };
  return node;
}

function stateOf(session) {
  const state = word(session.state, "SESSION_STATE_");
  if (session.deletedUnixMs) return `${state}: it only reads, and is deleted ${time(session.deletedUnixMs)}`;
  return session.inUse ? `${state}, in use` : state;
}
