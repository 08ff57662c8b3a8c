// What the administrator sees: throughput, latencies, refusals by cause, the store and
// the network, live.

import { Chart } from "./chart.js";
import { element, pairs, table, write } from "./dom.js";
import { bytes, count, duration, rate, seconds, time } from "./format.js";
import { causes } from "./causes.js";
import { History } from "./history.js";

const stages = [["send", "queue"], ["send", "crypto"], ["send", "commit"], ["send", "publish"], ["receive", "queue"], ["receive", "crypto"], ["receive", "commit"]];

export class Engine {
  #api;
  #history = new History();
  #network = pairs(["Network", "Since", "Peers"]);
  #counts = pairs(["Identities", "Identities in memory", "Messages under way", "Streams", "Sent", "Received", "Acknowledged", "Sessions started"]);
  #throughput = new Chart("Messages a second", ["sent", "received", "refused"]);
  #latencies = table("Times of the last minute: half of the sampled messages took at most the first, 99 of 100 at most the second", ["Stage", "Half", "99 %", "Sampled"]);
  #noLatency = element("p", { class: "hint" });
  #refused = table("Received, and not read", ["Cause", "In the last minute", "Since the start", "What it means"]);
  #sends = table("Not sent", ["Cause", "In the last minute", "Since the start", "What it means"]);
  #noRefusal = element("p", { class: "hint" });
  #store = pairs(["Store", "On the disk", "Log among that", "Records waiting", "Batches refused", "Write and sync, half", "Write and sync, 99 %", "Epoch keys", "Oldest epoch"]);
  #noStore = element("p", { class: "hint" });

  constructor(place, api) {
    this.#api = api;
    const part = (title, ...children) => element("section", { class: "card" }, element("h2", {}, title), ...children);
    place.replaceChildren(
      part("Throughput", this.#throughput.node, this.#counts),
      part("Latency", this.#noLatency, this.#latencies),
      part("Refusals by cause", this.#noRefusal, this.#refused, this.#sends),
      part("Store", this.#noStore, this.#store),
      part("Network", this.#network));
  }

  async update() {
    const [stats, health] = await Promise.all([this.#api.call("DaemonService/GetStats"), this.#api.call("DaemonService/GetHealth")]);
    this.#history.add(stats);
    const rates = ["sent", "received", "refused"].map((name) => this.#history.rate(name));
    this.#throughput.add(Number(stats.atUnixMs), rates, rates.map(rate));
    this.#counts.update([stats.identities, stats.awake, stats.inFlight, stats.streams, stats.sent, stats.received, stats.acknowledged, stats.sessionsStarted].map(count));
    this.#showLatencies();
    this.#showRefusals(stats);
    this.#showStore(stats.store);
    this.#network.update([
      !health.known ? "does not tell" : health.ready ? "ready" : `away${health.detail ? `: ${health.detail}` : ""}`,
      time(health.sinceUnixMs), count(health.peers)]);
  }

  #showLatencies() {
    const rows = stages.map(([direction, stage]) => {
      const times = this.#history.times(direction, stage);
      return times && [`${direction}: ${stage}`, seconds(times.half), seconds(times.most), count(times.count)];
    }).filter(Boolean);
    write(this.#noLatency, rows.length === 0 ? "No message was timed in the last minute." : "");
    this.#latencies.update(rows);
  }

  #showRefusals(stats) {
    const rows = (field) => (stats[field] ?? []).map(({ cause, count: n }) =>
      [cause.replaceAll("_", " "), count(this.#history.since(field, cause)), count(n), causes[cause] ?? ""]);
    const [refused, sends] = [rows("refusedByCause"), rows("sendsRefusedByCause")];
    write(this.#noRefusal, refused.length + sends.length === 0 ? "None since the start." : "");
    this.#refused.update(refused);
    this.#sends.update(sends);
  }

  #showStore(store) {
    write(this.#noStore, store ? "" : "The store does not tell, or is not on a disk.");
    this.#store.hidden = !store;
    if (!store) return;
    const state = store.rolledBack ? "has gone back, and not made its new start" : store.unsettled ? "a write has failed; the anchor may lag behind" : "in order";
    const writes = this.#history.writes();
    this.#store.update([state, bytes(store.diskBytes), bytes(store.logBytes), count(store.queued), count(store.batchesRefused),
      writes ? seconds(writes.half) : "nothing written in the last minute", writes ? seconds(writes.most) : "nothing written in the last minute",
      count(store.epochs), duration(store.oldestEpochSeconds)]);
  }
}
