// A question that has to be answered before anything else: what is about to happen, and
// whether it should.

import { element } from "./dom.js";

let asked = 0; // so that each has ids of its own

// ask gives whether the answer is yes. Escape is no, and so is dismiss. The browser keeps
// the focus inside, and gives it back to where it was.
export function ask(title, text, yes) {
  const id = `question-${++asked}`;
  const answer = (value) => () => node.close(value);
  const no = element("button", { type: "button", autofocus: true, onclick: answer("") }, "Cancel");
  const node = element("dialog", { role: "alertdialog", "aria-labelledby": id, "aria-describedby": `${id}-text` },
    element("h2", { id }, title), element("p", { id: `${id}-text` }, text),
    element("span", { class: "actions" }, no, element("button", { type: "button", onclick: answer("yes") }, yes)));
  document.body.append(node);
  return new Promise((resolve) => {
    node.addEventListener("close", () => {
      node.remove();
      resolve(node.returnValue === "yes");
    });
    node.showModal();
  });
}

// dismiss answers no to what is asked at the moment.
export function dismiss() {
  for (const node of document.querySelectorAll("dialog")) node.close("");
}
