// A chart of a few lines over the last minutes.

import { element, write } from "./dom.js";

const width = 600;
const height = 160;
const keptFor = 120_000; // milliseconds

const svg = (name, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};

export class Chart {
  node;
  #title;
  #names;
  #points = []; // [milliseconds, value of each line]
  #picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "chart" });
  #lines;
  #legend;
  #top = element("p", { class: "hint" });

  constructor(title, names) {
    this.#title = title;
    this.#names = names;
    this.#lines = names.map((_, n) => svg("polyline", { class: `line line-${n}`, points: "" }));
    this.#picture.append(...this.#lines);
    this.#legend = names.map((name, n) => element("li", { class: `line-${n}` }, name));
    this.node = element("figure", {}, element("figcaption", {}, title), this.#picture, this.#top, element("ul", { class: "legend" }, ...this.#legend));
  }

  // add takes the values at a time, and how they are told.
  add(at, values, texts) {
    this.#points.push([at, ...values]);
    while (this.#points[0][0] < at - keptFor) this.#points.shift();
    const highest = Math.max(1, ...this.#points.flatMap((point) => point.slice(1)));
    const x = (t) => (width * (1 - (at - t) / keptFor)).toFixed(1);
    const y = (value) => (height - 2 - (height - 4) * (value / highest)).toFixed(1);
    this.#lines.forEach((line, n) => line.setAttribute("points", this.#points.map((point) => `${x(point[0])},${y(point[n + 1])}`).join(" ")));
    this.#legend.forEach((item, n) => write(item, `${this.#names[n]} ${texts[n]}`));
    write(this.#top, `The last two minutes; the top is ${Math.ceil(highest).toLocaleString("en")}.`);
    this.#picture.setAttribute("aria-label", `${this.#title}: now ${this.#names.map((name, n) => `${name} ${texts[n]}`).join(", ")}`);
  }
}
