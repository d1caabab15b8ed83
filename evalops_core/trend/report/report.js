// The report at work: opens the tables of cases, orders and searches them, and sorts the overview.
// Nothing is loaded or sent. How a case is shown stands in show.js, which comes before.
"use strict";
(() => {
  const FIRST = 10, PAGE = 50, PAUSE_MS = 120;
  const SMALL = 200_000; // characters of cases that are read at once
  const { make, none, changeOf, scoreText, grouped, textOf, detailOf } = Show;

  function scoreOf(side, absent) {
    if (side === null) return none(absent);
    return side.score === null ? none("unscored") : document.createTextNode(scoreText(side.score));
  }

  function changeCell(row, table) {
    if (row.change !== null) return changeOf(row.change);
    if (table.before === null) return none("no run before");
    if (row.before === null) return none("new case");
    if (row.now === null) return none("not asked now");
    if (row.now.score === null) return none(row.before.score === null ? "unscored in both" : "lost its score");
    return none(row.before.score === null ? "unscored before" : "measured differently");
  }

  // Orders, worst first. What has no number is put where it is looked for: unscored cases are the worst ones, and a
  // case without a change comes after all that have one, first of them those that lost their score.
  const byId = new Intl.Collator("en", { numeric: true }).compare;
  const level = (row) => (row.now === null ? 9 : row.now.score === null ? 0 : row.now.score);
  const lost = (row) => (row.before && row.before.score !== null && row.now && row.now.score === null ? 100 : 200);
  const fall = (row) => (row.change === null ? lost(row) : row.change);
  const ORDERS = {
    worst: (a, b) => level(a) - level(b) || byId(a.id, b.id),
    fell: (a, b) => fall(a) - fall(b) || byId(a.id, b.id),
    id: (a, b) => byId(a.id, b.id),
  };

  function searchable(row) {
    const texts = [row.id, textOf(row.input), textOf(row.reference)];
    for (const side of [row.now, row.before]) {
      if (side === null) continue;
      texts.push(textOf(side.answer), textOf(side.why));
      for (const axis of side.axes) texts.push(textOf(axis[2]));
    }
    return texts.join("\n").toLowerCase();
  }

  class CaseList {
    constructor(root, table) {
      this.root = root;
      this.table = table;
      this.order = "worst";
      this.unscored = false;
      this.terms = [];
      this.haystacks = null;
      this.sorted = {};
      this.body = root.querySelector("tbody");
      this.more = root.querySelector(".more");
      this.status = root.querySelector(".count");
      const search = root.querySelector("input[type=search]");
      let timer = 0;
      search.addEventListener("focus", () => this.prepare(), { once: true });
      search.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          this.terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
          this.refresh();
        }, PAUSE_MS);
      });
      for (const button of root.querySelectorAll("[data-order]")) {
        if (button.dataset.order === "fell" && !table.cases.some((row) => row.change !== null)) {
          button.disabled = true;
          button.title = "no case has a change";
        }
        button.addEventListener("click", () => this.reorder(button));
      }
      root.querySelector("input[type=checkbox]").addEventListener("change", (event) => {
        this.unscored = event.target.checked;
        this.refresh();
      });
      this.more.addEventListener("click", () => this.show(PAGE, true));
      root.hidden = false;
      this.refresh();
    }

    prepare() {
      if (this.haystacks === null) this.haystacks = new Map(this.table.cases.map((row) => [row, searchable(row)]));
      return this.haystacks;
    }

    reorder(pressed) {
      this.order = pressed.dataset.order;
      for (const button of this.root.querySelectorAll("[data-order]")) {
        button.setAttribute("aria-pressed", String(button === pressed));
      }
      this.refresh();
    }

    refresh() {
      const rows = (this.sorted[this.order] ??= [...this.table.cases].sort(ORDERS[this.order]));
      const wanted = (row) => {
        if (this.unscored && !(row.now && row.now.score === null)) return false;
        return this.terms.every((term) => this.prepare().get(row).includes(term));
      };
      this.found = this.unscored || this.terms.length ? rows.filter(wanted) : rows;
      this.shown = 0;
      this.body.replaceChildren();
      this.show(FIRST, false);
    }

    show(count, moveFocus) {
      const added = this.found.slice(this.shown, this.shown + count).map((row) => this.line(row));
      this.body.append(...added);
      this.shown += added.length;
      const left = this.found.length - this.shown;
      this.more.hidden = left === 0;
      this.more.textContent = `Show ${Math.min(PAGE, left)} more`;
      const all = this.table.cases.length;
      const of = this.found.length === all ? grouped(all) : `${grouped(this.found.length)} found among ${grouped(all)}`;
      this.status.textContent = all === 0 ? "No case was stored." : `${grouped(this.shown)} shown of ${of} ${all === 1 ? "case" : "cases"}.`;
      if (moveFocus && added.length) added[0].querySelector("button").focus({ preventScroll: true });
    }

    line(row) {
      const line = make("tr");
      const heading = make("th");
      heading.scope = "row";
      const button = make("button", "open", row.id);
      button.type = "button";
      button.setAttribute("aria-expanded", "false");
      heading.append(button);
      line.append(heading);
      const cells = [
        scoreOf(row.now, "not asked now"),
        scoreOf(row.before, this.table.before === null ? "no run before" : "new case"),
        changeCell(row, this.table),
      ];
      for (const cell of cells) {
        const place = line.insertCell();
        place.className = "n";
        place.append(cell);
      }
      const input = line.insertCell();
      input.className = "begin";
      input.dir = "auto";
      if (row.input === null) input.append(none("not in today's suite"));
      else input.textContent = textOf(row.input).slice(0, 160);
      line.addEventListener("click", (event) => {
        if (event.target.closest("button") || String(getSelection()) === "") this.toggle(row, line, button);
      });
      return line;
    }

    toggle(row, line, button) {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) {
        line.nextElementSibling.remove();
        return;
      }
      const place = make("tr", "opened");
      const cell = place.insertCell();
      cell.colSpan = line.cells.length;
      cell.append(detailOf(row, this.table));
      line.after(place);
    }
  }

  const sourceOf = (root) => document.getElementById(root.dataset.source).textContent;

  function openCases(root) {
    if (root.dataset.opened) return;
    root.dataset.opened = "yes";
    new CaseList(root, JSON.parse(sourceOf(root)));
  }

  function sortable(table) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      if (!heading.dataset.sorts) return;
      const numbers = heading.dataset.sorts === "number";
      const button = make("button", "sort", heading.textContent);
      button.type = "button";
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.sort;
        const compare = numbers ? (a, b) => Number(a) - Number(b) : byId;
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const [one, other] = [value(a), value(b)];
          if (one === "" || other === "") return (one === "") - (other === ""); // what is missing stays last
          return down ? compare(other, one) : compare(one, other);
        });
        table.tBodies[0].append(...rows);
        table.caption.textContent = `By ${button.textContent}, ${down ? "descending" : "ascending"}; what has no number comes last.`;
      });
    });
  }

  document.documentElement.classList.add("scripted");
  for (const table of document.querySelectorAll("table.overview")) sortable(table);
  const lists = [...document.querySelectorAll(".cases")];
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        openCases(entry.target);
      }
    },
    { rootMargin: "800px" },
  );
  for (const list of lists) {
    list.hidden = false; // so that it has a place to come near to
    if (sourceOf(list).length < SMALL) openCases(list);
    else near.observe(list); // of many cases, only what is looked at is read
  }
  addEventListener("beforeprint", () => {
    lists.forEach(openCases);
    for (const details of document.querySelectorAll("details.runs")) details.open = true;
  });
})();
