// Devices, with the decision about each: those that wait for one come first.

import { button, element, keyed, write } from "./dom.js";
import { time } from "./format.js";

const stateOf = (device) =>
  device.denied ? "denied" : !device.enabled ? "waits for approval" : device.stale ? "approved, but left out by its identity for a week" : "approved";

const waits = (device) => !device.enabled && !device.denied;

// deviceList makes a list whose method update takes the devices. whose has the identity
// and, if they are not its own, the contact.
export function deviceList(title, api, whose, say, changed) {
  const heading = element("h3", { tabindex: "-1" }, title);
  const none = element("p", { class: "hint" });
  const list = element("ul", { class: "devices" });

  async function decide(method, device, done) {
    try {
      await api.call(`ContactService/${method}`, { ...whose, installation: device.installation });
      say(`Device ${device.installation} is ${done}.`);
      await changed();
      heading.focus(); // the button may be gone
    } catch (error) {
      say(error.message);
    }
  }

  function item(device) {
    const state = element("span", { class: "state" });
    const seen = element("span", { class: "hint" });
    const approve = button("Approve", () => decide("ApproveDevice", device, "approved"), { "aria-label": `Approve device ${device.installation}` });
    const deny = button("Deny", () => decide("DenyDevice", device, "denied"), { "aria-label": `Deny device ${device.installation}` });
    const node = element("li", {}, element("span", { class: "key" }, device.installation), " ", state, " ", seen,
      element("span", { class: "actions" }, approve, deny));
    node.update = (now) => {
      node.className = waits(now) ? "waiting" : "";
      write(state, stateOf(now));
      write(seen, `first seen ${time(now.firstSeenUnixMs)}, last message ${time(now.activeUnixMs)}`);
      approve.hidden = Boolean(now.enabled);
      deny.hidden = Boolean(now.denied);
    };
    return node;
  }

  const node = element("section", {}, heading, none, list);
  node.update = (devices) => {
    write(none, devices.length === 0 ? "None." : "");
    const sorted = [...devices].sort((a, b) => waits(b) - waits(a));
    keyed(list, sorted, (one) => one.installation, item);
  };
  return node;
}
