// One identity: who it is, its contact code, its devices and its contacts.

import { button, element, keyed, pairs, write } from "./dom.js";
import { Contact } from "./contact.js";
import { deviceList } from "./devices.js";

// perPage is how many contacts are asked for at a time.
const perPage = 50;

export class Identity {
  name; // KEY/INSTALLATION
  #api;
  #say;
  #pages = 1;
  #title = element("h2", { tabindex: "-1" });
  #facts = pairs(["Public key", "This installation", "State"]);
  #devices;
  #contactsTitle = element("h3", { tabindex: "-1" }, "Contacts");
  #contacts = element("ul", { class: "contacts" });
  #noContacts = element("p", { class: "hint" });
  #more;

  constructor(place, api, name, say, decided) {
    this.name = name;
    this.#api = api;
    this.#say = say;
    this.#devices = deviceList("Own devices", api, { identity: name }, say, () => {
      decided();
      return this.#showDevices();
    });
    this.#more = button("Show more contacts", async () => {
      this.#pages++;
      await this.#showContacts();
    });
    this.#more.hidden = true;
    place.replaceChildren(this.#title, this.#facts, this.#code(), this.#devices,
      this.#contactsTitle, this.#noContacts, this.#contacts, this.#more);
  }

  async update(identity) {
    write(this.#title, identity.name ?? "(no name)");
    this.#facts.update([identity.publicKey, identity.installation, identity.retired ? `replaced by ${identity.successor}` : "in use"]);
    await Promise.all([this.#showDevices(), this.#showContacts()]);
  }

  async #showDevices() {
    const { devices } = await this.#api.call("ContactService/ListDevices", { identity: this.name });
    this.#devices.update(devices ?? []);
  }

  async #showContacts() {
    const all = [];
    let token = "";
    for (let page = 0; page < this.#pages && (page === 0 || token); page++) {
      const answer = await this.#api.call("ContactService/ListContacts", { identity: this.name, pageSize: perPage, pageToken: token });
      all.push(...(answer.contacts ?? []));
      token = answer.nextPageToken ?? "";
    }
    this.#more.hidden = !token;
    write(this.#noContacts, all.length === 0 ? "None." : "");
    keyed(this.#contacts, all, (one) => one.publicKey, (one) => new Contact(this.#api, this.name, one.publicKey, this.#say, () => this.#decided()).node);
    await Promise.all([...this.#contacts.children].map((node) => node.refresh()));
  }

  // decided shows what is known of the contacts now. The one that had the focus may be
  // gone.
  async #decided() {
    this.#contactsTitle.focus();
    await this.#showContacts();
  }

  // code is fetched when it is wanted: it may have to be made.
  #code() {
    const place = element("div", { class: "code" });
    const node = element("details", {}, element("summary", {}, "Contact code to show or send"), place);
    node.addEventListener("toggle", async () => {
      if (!node.open) return;
      try {
        const answer = await this.#api.call("IdentityService/GetContactCode", { identity: this.name, qrCode: true });
        place.replaceChildren(
          element("img", { src: `data:image/png;base64,${answer.qrCodePng}`, alt: "QR code of the contact code", class: "qr" }),
          element("p", { class: "text" }, answer.contactCode));
      } catch (error) {
        place.replaceChildren(element("p", {}, error.message));
      }
    });
    return node;
  }
}
