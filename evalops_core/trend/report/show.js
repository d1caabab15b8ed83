// How the report shows a case: numbers, texts, and a case opened up.
// Every text of a case reaches the page as textContent, which makes no markup of it.
"use strict";
const Show = (() => {
  const MINUS = "\u2212", PURGED = "the text was purged";

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // A text is null, a string, or [its beginning, the length of the whole].
  const textOf = (value) => (value === null ? "" : typeof value === "string" ? value : value[0]);
  const scoreText = (value) => value.toFixed(2);
  const grouped = (count) => count.toLocaleString("en-US");

  function none(why) {
    const span = make("span", "none", "– ");
    span.append(make("small", "", why));
    return span;
  }

  function changeOf(value) {
    const rounded = Math.round(value * 100) / 100;
    if (rounded === 0) return make("span", "same", "0.00");
    const span = make("span", rounded < 0 ? "down" : "up");
    const sign = make("span", "", rounded < 0 ? "▼ " : "▲ ");
    sign.setAttribute("aria-hidden", "true");
    span.append(sign, (rounded < 0 ? MINUS : "+") + Math.abs(rounded).toFixed(2));
    return span;
  }

  function quote(value, missing) {
    if (value === null) return none(missing);
    const box = make("div", "quote");
    box.dir = "auto";
    box.textContent = textOf(value);
    if (typeof value === "string") return box;
    const whole = document.createDocumentFragment();
    whole.append(box, make("p", "cut", `Cut: the first ${grouped(value[0].length)} of ${grouped(value[1])} characters.`));
    return whole;
  }

  function sideOf(side, title, absent) {
    const box = make("div", "side");
    const heading = make("h4", "", title);
    box.append(heading);
    if (side === null) {
      box.append(none(absent));
      return box;
    }
    heading.append(side.score === null ? ": no score" : `: ${scoreText(side.score)}`);
    if (side.why !== null) {
      box.append(make("p", "label", "Why there is no score"), quote(side.why, ""));
    }
    box.append(make("p", "label", side.answers > 1 ? `Answer (the first of ${side.answers})` : "Answer"));
    box.append(quote(side.answer, side.purged ? PURGED : "there is none"));
    return box;
  }

  function axesOf(row, table) {
    const names = new Set();
    for (const side of [row.now, row.before]) for (const axis of side ? side.axes : []) names.add(axis[0]);
    if (names.size === 0) return null;
    const find = (side, name) => (side ? side.axes.find((axis) => axis[0] === name) : undefined);
    const grid = make("table", "axes");
    const head = make("tr");
    const titles = ["axis", "score", "the judge's or rule's reason"];
    if (table.before !== null) titles.push("before", "reason before");
    for (const title of titles) {
      const cell = make("th", "", title);
      cell.scope = "col";
      head.append(cell);
    }
    grid.createTHead().append(head);
    const body = grid.createTBody();
    for (const name of names) {
      const line = body.insertRow();
      const heading = make("th", "", name);
      heading.scope = "row";
      line.append(heading);
      for (const side of table.before === null ? [row.now] : [row.now, row.before]) {
        const axis = find(side, name);
        const value = axis && axis[1] !== null ? document.createTextNode(axis[1].toFixed(2)) : none("unscored");
        line.insertCell().append(axis ? value : none("not scored"));
        line.insertCell().append(axis ? quote(axis[2], side.purged ? PURGED : "no reason was given") : none("not scored"));
      }
    }
    const scroll = make("div", "scroll");
    scroll.append(grid);
    return scroll;
  }

  function detailOf(row, table) {
    const box = make("div", "detail");
    const asked = make("div", "sides");
    const question = make("div", "side");
    question.append(make("h4", "", "Input"), quote(row.input, "today's suite does not have this case"));
    const reference = make("div", "side");
    reference.append(make("h4", "", "Reference"), quote(row.reference, row.input === null ? "not known" : "the case has none"));
    asked.append(question, reference);
    const sides = make("div", "sides");
    if (table.before !== null) sides.append(sideOf(row.before, `Before, ${table.before}`, "that run does not have this case"));
    sides.append(sideOf(row.now, `Now, ${table.now}`, "this run does not have this case"));
    box.append(asked, sides);
    const axes = axesOf(row, table);
    if (axes !== null) box.append(axes);
    return box;
  }

  return { make, none, changeOf, scoreText, grouped, textOf, detailOf };
})();
