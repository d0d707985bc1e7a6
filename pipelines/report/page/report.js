// The page without this script has every number; with it one can search, sort, filter samples and move thresholds.
// It asks nothing of the network and puts text into the page by textContent alone.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const facts = JSON.parse($("#facts").textContent);
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  // The folder of the run, for commands: the page's own folder where it is a file.
  const quoted = (path) => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'"'"'`)}'`);
  const run = location.protocol === "file:" ? quoted(decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "")) : "RUN";

  // Thresholds: `moved` of pipelines/report/moved.py.
  const outlook = facts.outlook;
  const numStages = outlook.stages.length;

  function ends(fate) {
    if (fate === "kept") return [numStages, true];
    if (!fate.startsWith("?")) return [outlook.stage_of[fate], true];
    let number = outlook.stages.indexOf(fate.slice(1));
    if (outlook.twice === null && number === outlook.stage_of["dedup.same_record"]) number += 1;
    return [number, number === numStages];
  }

  const passing = (sweep, low, high) => {
    const first = low === null ? 0 : 2 * low + 1;
    const last = high === null ? 2 * sweep.edges.length : 2 * high + 1;
    return (bin) => first <= bin && bin <= last;
  };

  function moved(sweep, low, high) {
    const at = (value) => (value === null ? null : sweep.edges.indexOf(value));
    const now = passing(sweep, at(sweep.min_kept), at(sweep.max_kept));
    const then = passing(sweep, low, high);
    const least = [...outlook.left, outlook.characters], most = [...least];
    const gone = Array(numStages + 1).fill(0), come = Array(numStages + 1).fill(0);
    const back = { ...outlook.removed };
    const own = outlook.stages.indexOf(sweep.stage);
    let dropped = 0;
    for (let i = 0; i < sweep.cells.length; i += 4) {
      const [bin, fate, documents, characters] = sweep.cells.slice(i, i + 4);
      const passes = then(bin);
      if (!passes) dropped += documents;
      if (passes === now(bin)) continue;
      const [end, isKnown] = ends(sweep.fates[fate]);
      const sign = passes ? 1 : -1, reaches = passes ? come : gone;
      for (let stage = own; stage < numStages; stage++) {
        if (stage < end || !isKnown) {
          most[stage] += sign * documents;
          if (stage < end) least[stage] += sign * documents;
        }
        if (stage <= end || !isKnown) reaches[stage] += documents;
      }
      if (end === numStages || !isKnown) most[numStages] += sign * characters;
      if (end === numStages) least[numStages] += sign * characters;
      if (!passes && isKnown && end in back) back[end] -= documents;
    }
    for (const [stage, removed] of Object.entries(back).map(([key, value]) => [Number(key), value])) {
      if (!gone[stage] && !(come[stage] && (outlook.back.includes(stage) || outlook.unknown.includes(stage)))) continue;
      for (let after = stage; after < numStages; after++) most[after] += removed;
      most[numStages] += outlook.lost_characters[stage] ?? 0;
      if (outlook.unknown.includes(stage)) least.fill(0, stage);
    }
    return { dropped, least: least.map((n) => Math.max(0, n)), most };
  }

  const range = (low, high) => (low === high ? count(low) : `${count(low)} … ${count(high)}`);
  const signed = (n) => (n > 0 ? `+${count(n)}` : n < 0 ? `−${count(-n)}` : "0");

  function moveSlider(box) {
    const sweep = facts.sweeps[box.dataset.reason];
    const at = (value) => (value === null ? null : sweep.edges.indexOf(value));
    const bound = { min: at(sweep.min_kept), max: at(sweep.max_kept) };
    const was = { ...bound }, sets = [];
    for (const input of $$("input", box)) {
      const side = input.dataset.side;
      bound[side] = Number(input.value);
      const value = sweep.edges[bound[side]];
      input.previousElementSibling.textContent = value.toLocaleString("en-US", { maximumSignificantDigits: 6 });
      input.setAttribute("aria-valuetext", String(value));
      if (bound[side] !== was[side]) sets.push(`--set ${sweep[`${side}_setting`]}=${facts.written[box.dataset.reason][bound[side]]}`);
      const chart = box.closest(".rule").querySelector(`svg.curve line.marker[data-side=${side}]`);
      if (chart) { const x = chart.parentNode.dataset.x.split(" ")[bound[side]]; chart.setAttribute("x1", x); chart.setAttribute("x2", x); }
    }
    const isMoved = sets.length > 0;
    const found = moved(sweep, bound.min, bound.max), last = numStages - 1;
    const then = $(".then", box);
    then.replaceChildren("drops ", element("b", count(found.dropped)), ", the run keeps ", element("b", range(found.least[last], found.most[last])), " documents");
    if (isMoved) {
      const [low, high] = [found.least[last] - outlook.kept, found.most[last] - outlook.kept];
      then.append(` (${low === high ? signed(low) : `${signed(low)} … ${signed(high)}`}), `, range(found.least[numStages], found.most[numStages]), " characters");
      if (found.least[last] !== found.most[last]) then.append(": later stages have not compared what they would then get");
    }
    Object.assign(box.dataset, { dropped: found.dropped, least: found.least[last], most: found.most[last] });
    const table = $(".then-funnel", box);
    // A stage with the same change as the one before it says nothing new.
    const change = outlook.left.map((left, i) => `${found.least[i] - left} ${found.most[i] - left}`);
    $("tbody", table).replaceChildren(...outlook.stages.flatMap((stage, i) => {
      if (change[i] === "0 0" || (i < last && i > 0 && change[i] === change[i - 1])) return [];
      const row = element("tr");
      row.append(element("th", stage, { scope: "row", class: "name" }), element("td", count(outlook.left[i])), element("td", range(found.least[i], found.most[i])));
      return [row];
    }));
    table.hidden = !isMoved;
    $(".commands", box).hidden = $(".reset", box).hidden = !isMoved;
    $(".whatif", box).textContent = `gristmill whatif ${run} ${sets.join(" ")}`;
    $(".apply", box).textContent = `gristmill apply ${run} ${sets.join(" ")} --out NEW`;
  }

  for (const box of $$(".slider")) {
    if (!$("input", box)) continue;
    box.hidden = false;
    const inputs = $$("input", box), start = inputs.map((input) => input.value);
    for (const input of inputs) input.addEventListener("input", () => moveSlider(box));
    $(".reset", box).addEventListener("click", () => { inputs.forEach((input, i) => (input.value = start[i])); moveSlider(box); inputs[0].focus(); });
    moveSlider(box);
  }

  // Copy buttons.
  for (const button of $$(".copy-button")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.previousElementSibling;
      try { await navigator.clipboard.writeText(code.textContent); button.textContent = "copied"; }
      catch { getSelection().selectAllChildren(code); button.textContent = "selected"; }
      setTimeout(() => (button.textContent = "copy"), 1500);
    });
  }

  // The funnel's unit.
  const funnel = $("#funnel");
  $(".switch", funnel).hidden = false;
  for (const input of $$("[name=unit]", funnel)) input.addEventListener("change", () => (funnel.dataset.shows = input.value));
  $("#idle").addEventListener("change", (event) => funnel.classList.toggle("all-stages", event.target.checked));

  // Tables that sort by a column.
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim(), number = parseFloat(text.replace(/[,\s%]/g, "").replace("−", "-"));
    return Number.isNaN(number) ? text : number;
  };
  for (const table of $$("table.sortable")) {
    $$("thead th", table).forEach((head, column) => {
      if (head.classList.contains("bars")) return;
      const button = element("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const isDown = head.getAttribute("aria-sort") !== "descending" && !head.classList.contains("name") || head.getAttribute("aria-sort") === "ascending";
        $$("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
        rows.sort(([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en")) * (isDown ? -1 : 1));
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }

  // On a narrow screen a row of a wide table is a block: each value needs the name of its column beside it.
  for (const table of $$("table")) {
    const names = $$("thead th", table).map((head) => head.innerText.trim().replace(/\s+/g, " "));
    for (const cell of $$("tbody td:not(.bars)", table)) cell.dataset.label = names[cell.cellIndex] ?? "";
    table.classList.add("labelled");
  }

  // Rules sort by what they drop, or stand in the order in which they decide.
  const ruleHead = $(".rule-head");
  ruleHead.hidden = false;
  for (const button of $$("button", ruleHead)) button.addEventListener("click", () => {
    const by = button.dataset.sort, list = ruleHead.parentElement, sign = by === "order" ? 1 : -1;
    for (const other of $$("button", ruleHead)) other.setAttribute("aria-pressed", other === button);
    list.append(...$$(":scope > .rule", list).sort((a, b) => sign * (a.dataset[by] - b.dataset[by])));
  });

  // Links into folded parts open them.
  const reveal = (target) => { for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true; };
  const follow = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) { reveal(target); target.scrollIntoView(); }
  };
  addEventListener("hashchange", follow);
  follow();

  // Samples: filters, and ten at a time.
  const form = $(".filters");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  const texts = new Map($$(".sample[data-rules]").map((sample) => [sample, sample.textContent.toLowerCase()]));
  function fits(sample, side) {
    const { rule, order, language, host, text } = Object.fromEntries(new FormData(form));
    const rules = sample.dataset.rules.split(" ");
    if (order === "nearest" ? sample.dataset.order !== "nearest" : sample.dataset.order !== "random") return false;
    if (rule && !rules.includes(rule) && !(side === "kept" && order === "random")) return false;
    if (language && sample.dataset.language !== language) return false;
    if (host) {
      const address = $(".url", sample).title.toLowerCase().replace(/^[a-z]+:\/\//, "").split("/")[0];
      if (!address.includes(host.toLowerCase())) return false;
    }
    return !text || texts.get(sample).includes(text.toLowerCase());
  }
  const FIRST = 6, MORE = 10;
  const shown = { kept: FIRST, dropped: FIRST };
  function showSamples() {
    for (const side of ["kept", "dropped"]) {
      const column = $(`.side-${side}`), samples = $$(".sample", column);
      const chosen = samples.filter((sample) => fits(sample, side)), first = new Set(chosen.slice(0, shown[side]));
      for (const sample of samples) sample.hidden = !first.has(sample);
      $(".more", column).hidden = chosen.length <= shown[side];
      $(".none", column).hidden = chosen.length > 0;
      $(".shown-count", column).textContent = `${first.size} of ${chosen.length}`;
    }
  }
  form.addEventListener("input", () => { shown.kept = shown.dropped = FIRST; showSamples(); });
  for (const side of ["kept", "dropped"]) $(`.side-${side} .more`).addEventListener("click", () => { shown[side] += MORE; showSamples(); });
  for (const link of $$("a[data-rule]")) link.addEventListener("click", () => {
    form.rule.value = link.dataset.rule;
    form.order.value = link.dataset.order ?? "random";
    form.dispatchEvent(new Event("input"));
  });
  showSamples();

  // Search over headings, rules, settings, hosts and samples.
  const search = $(".search"), find = $("#find"), found = $("#found");
  search.hidden = false;
  let serial = 0;
  const places = $$("[data-find], #samples .sample, main h2").map((place) => {
    const section = place.closest("section[id]");
    const isSample = place.classList.contains("sample");
    const name = isSample ? $(".url", place).textContent : (place.dataset.find ?? place.textContent).trim();
    return { place, name, where: section ? $("h2", section)?.textContent ?? "" : "", text: (isSample ? texts.get(place) : name).toLowerCase() };
  });
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    found.hidden = !wanted;
    const hits = wanted ? places.filter(({ text }) => text.includes(wanted)) : [];
    hits.sort((a, b) => b.name.toLowerCase().includes(wanted) - a.name.toLowerCase().includes(wanted));
    found.replaceChildren(...hits.slice(0, 12).map(({ place, name, where }) => {
      place.id ||= `found-${serial++}`;
      const link = element("a", name.length > 80 ? `${name.slice(0, 80)}…` : name, { href: `#${place.id}` });
      link.append(element("span", where, { class: "where" }));
      link.addEventListener("click", () => { place.hidden = false; found.hidden = true; reveal(place); });
      const item = element("li");
      item.append(link);
      return item;
    }));
    if (wanted && !hits.length) found.replaceChildren(element("li", "nothing found", { class: "nothing" }));
  });
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") $("a", found)?.click();
    if (event.key === "Escape") { find.value = ""; found.hidden = true; }
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) { event.preventDefault(); find.focus(); }
  });

  // The navigation marks the section on the screen.
  const links = new Map($$(".side nav a").map((link) => [link.getAttribute("href").slice(1), link]));
  const sections = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const mark = () => {
    const here = sections.filter((section) => section.getBoundingClientRect().top < innerHeight * 0.3).at(-1) ?? sections[0];
    for (const [id, link] of links) id === here?.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
  document.documentElement.dataset.ready = "true";
})();
