// What is shown is made here. Data become text and nothing else: no function takes
// HTML, and the page's policy refuses it.

// element makes one. Properties that begin with "on" are listeners, all others are
// attributes; false and undefined leave them out.
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) {
      node.addEventListener(key.slice(2), value);
    } else if (value !== false && value !== undefined) {
      node.setAttribute(key, value === true ? "" : value);
    }
  }
  node.append(...children);
  return node;
}

// button makes one that does something, and cannot be pressed again meanwhile.
export function button(text, act, properties = {}) {
  const node = element("button", { type: "button", ...properties }, text);
  node.addEventListener("click", async () => {
    if (node.getAttribute("aria-disabled") === "true") return;
    node.setAttribute("aria-disabled", "true");
    try {
      await act();
    } finally {
      node.removeAttribute("aria-disabled");
    }
  });
  return node;
}

// write changes a text, if it is another one: what stays is not read out again.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// keyed makes the children of a node those of a list. A child stays for as long as the
// key of its item does, with its focus; make gives a node with a method update.
export function keyed(parent, items, keyOf, make) {
  const old = new Map([...parent.children].map((child) => [child.key, child]));
  const focus = document.activeElement;
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const node = old.get(key) ?? make(item);
    node.key = key;
    old.delete(key);
    node.update(item);
    if (node === at) {
      at = at.nextElementSibling;
    } else {
      parent.insertBefore(node, at);
    }
  }
  for (const node of old.values()) node.remove();
  if (focus !== document.activeElement && parent.contains(focus)) focus.focus(); // it was moved
}

// pairs makes a list of names and values, whose method update changes the values.
export function pairs(names) {
  const values = names.map(() => element("dd"));
  const node = element("dl", {}, ...names.flatMap((name, n) => [element("dt", {}, name), values[n]]));
  node.update = (texts) => texts.forEach((text, n) => write(values[n], text));
  return node;
}

// table makes one whose method update takes the rows: texts, the first of which names
// the row.
export function table(caption, columns) {
  const body = element("tbody");
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
  const node = element("table", {}, element("caption", {}, caption), element("thead", {}, head), body);
  const row = (texts) => {
    const cells = texts.map((_, n) => (n === 0 ? element("th", { scope: "row" }) : element("td")));
    const made = element("tr", {}, ...cells);
    made.update = (now) => now.forEach((text, n) => write(cells[n], text));
    return made;
  };
  node.update = (rows) => {
    node.hidden = rows.length === 0;
    keyed(body, rows, (texts) => texts[0], row);
  };
  return node;
}
