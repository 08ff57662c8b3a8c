// The identities that the token is for, and the one that was chosen.

import { element, keyed, write } from "./dom.js";
import { short } from "./format.js";
import { Identity } from "./identity.js";

// mostShown bounds the list: a daemon may host thousands. The filter finds the others.
const mostShown = 100;

// listAfter is how old the list may be, in milliseconds: it is as long as the daemon
// has identities.
const listAfter = 30_000;

export class Identities {
  #api;
  #say;
  #all;
  #listed = performance.now();
  #chosen = null;
  #list = element("ul", { class: "choices" });
  #more = element("p", { class: "hint" });
  #filter = element("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false" });
  #shown = element("section", { class: "chosen", "aria-live": "off" });

  constructor(place, api, identities, say) {
    this.#api = api;
    this.#say = say;
    this.#all = identities;
    this.#filter.addEventListener("input", () => this.#showList());
    const side = element("section", { class: "side", "aria-labelledby": "identities-title" },
      element("h2", { id: "identities-title" }, "Identities"),
      element("label", { for: "filter" }, "Find by name or key"), this.#filter, this.#list, this.#more);
    place.replaceChildren(side, this.#shown);
    this.#showList();
    if (identities.length > 0) this.#choose(identities[0]);
  }

  // nameOf is unique, and good for requests.
  static nameOf = (identity) => `${identity.publicKey}/${identity.installation}`;

  async update() {
    if (performance.now() - this.#listed > listAfter) {
      this.#listed = performance.now();
      this.#all = (await this.#api.call("IdentityService/ListIdentities", { waitingDevices: true })).identities ?? [];
      this.#showList();
    }
    const still = this.#chosen && this.#all.find((one) => Identities.nameOf(one) === this.#chosen.name);
    if (still) {
      await this.#chosen.update(still);
    } else if (this.#all.length > 0) {
      this.#choose(this.#all[0]);
    } else {
      this.#chosen = null;
      this.#shown.replaceChildren(element("p", {}, "There are no identities."));
    }
  }

  #choose(identity) {
    this.#chosen = new Identity(this.#shown, this.#api, Identities.nameOf(identity), this.#say, () => { this.#listed = -Infinity; });
    this.#chosen.update(identity).catch((error) => this.#say(error.message));
    this.#showList();
  }

  #showList() {
    const wanted = this.#filter.value.trim().toLowerCase();
    const found = this.#all
      .filter((one) => (one.name ?? "").toLowerCase().includes(wanted) || one.publicKey.includes(wanted))
      .sort((a, b) => (b.waitingDevices ?? 0) - (a.waitingDevices ?? 0)); // else in the daemon's order
    keyed(this.#list, found.slice(0, mostShown), Identities.nameOf, (one) => this.#choice(one));
    const left = found.length - mostShown;
    write(this.#more, left > 0 ? `${left} more: find them by name or key.` : found.length === 0 ? "None." : "");
  }

  #choice(identity) {
    const name = element("span", { class: "name" });
    const key = element("span", { class: "key" });
    const waiting = element("span", { class: "state" });
    const press = element("button", { type: "button", onclick: () => this.#choose(identity) }, name, " ", key, " ", waiting);
    const node = element("li", {}, press);
    node.update = (now) => {
      write(name, now.name ?? "(no name)");
      const several = this.#all.some((one) => one !== now && one.publicKey === now.publicKey);
      write(key, short(now.publicKey) + (several ? ` / ${now.installation.slice(0, 8)}` : ""));
      write(waiting, !now.waitingDevices ? "" : now.waitingDevices === 1 ? "1 device waits" : `${now.waitingDevices} devices wait`);
      press.setAttribute("aria-current", this.#chosen?.name === Identities.nameOf(now) ? "true" : "false");
    };
    return node;
  }
}
