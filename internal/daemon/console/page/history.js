// What GetStats has told in the last minute: its counts only go up, so two answers give
// what was in between.

const keptFor = 60_000; // milliseconds

export class History {
  #all = [];

  add(stats) {
    const now = Number(stats.atUnixMs);
    // A count that went back is one of a daemon that was started anew.
    if (this.#all.some((one) => Number(one.sent ?? 0) > Number(stats.sent ?? 0) || Number(one.received ?? 0) > Number(stats.received ?? 0))) this.#all = [];
    this.#all.push(stats);
    while (this.#all.length > 2 && Number(this.#all[1].atUnixMs) < now - keptFor) this.#all.shift();
  }

  // rate is what a count has grown by a second, since the answer before.
  rate(name) {
    const [before, last] = this.#all.slice(-2);
    if (!last) return 0;
    const took = (Number(last.atUnixMs) - Number(before.atUnixMs)) / 1000;
    return took > 0 ? (Number(last[name] ?? 0) - Number(before[name] ?? 0)) / took : 0;
  }

  // since is how often there was a cause in the last minute.
  since(field, cause) {
    const of = (stats) => Number(stats[field]?.find((one) => one.cause === cause)?.count ?? 0);
    return of(this.#all.at(-1)) - of(this.#all[0]);
  }

  // times are those of a stage in the last minute, null if there were none.
  times(direction, stage) {
    return this.#between((stats) => stats.latencies?.find((one) => one.direction === direction && one.stage === stage)?.times);
  }

  // writes are the times of the store.
  writes() {
    return this.#between((stats) => stats.store?.writes);
  }

  #between(histogramOf) {
    const [before, now] = [histogramOf(this.#all[0]), histogramOf(this.#all.at(-1))];
    if (!now?.counts) return null;
    const counts = now.counts.map((n, at) => Number(n) - Number(before?.counts?.[at] ?? 0));
    const all = counts.reduce((sum, n) => sum + n, 0);
    if (all <= 0) return null;
    return { count: all, half: within(0.5, counts, all, now.boundsSeconds), most: within(0.99, counts, all, now.boundsSeconds) };
  }
}

// within is the bound that a share of the times stays below.
function within(share, counts, all, bounds) {
  let sum = 0;
  for (let at = 0; at < counts.length; at++) {
    sum += counts[at];
    if (sum >= share * all) return bounds[at] ?? Infinity;
  }
  return Infinity;
}
