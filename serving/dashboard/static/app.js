// Brings a page to life; without it, everything but charts, items, updates and the choice among many stores still works.
import { drawCharts } from "./charts.js";
import { showItems } from "./items.js";
import { wirePicker } from "./picker.js";
import { wireRefreshes } from "./refresh.js";

const WAIT = 4000;
// How often a page that stays open asks whether it still holds.
const LOOK = 60_000;

function wire(root) {
  drawCharts(root);
  wireRefreshes(root);
  for (const section of root.querySelectorAll("[data-items]")) showItems(section);
  for (const button of root.querySelectorAll("[data-print]")) button.addEventListener("click", () => window.print());
  for (const button of root.querySelectorAll("[data-more]")) {
    button.addEventListener("click", () => {
      const list = button.parentElement.querySelector(".alerts");
      list.classList.add("all");
      list.querySelector(".later a").focus();
      button.remove();
    });
  }
  for (const form of root.querySelectorAll("[data-filters]")) wireFilters(form);
  for (const picker of root.querySelectorAll(".picker")) wirePicker(picker);
  if (root.querySelector("[data-wait]")) setTimeout(() => location.reload(), WAIT);
}

function wireFilters(form) {
  let timer;
  const go = async (button) => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
    if (button?.name) query.set(button.name, button.value);
    await show(`${location.pathname}${query.size ? `?${query}` : ""}`, { remember: true });
    if (button?.name !== "page") return;
    const start = document.querySelector("[data-page-start]");
    start?.focus({ preventScroll: true });
    start?.closest("section").scrollIntoView();
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); go(event.submitter); });
  form.addEventListener("change", (event) => { if (event.target.type === "checkbox") go(); });
  form.addEventListener("input", (event) => {
    if (event.target.name !== "q") return;
    clearTimeout(timer);
    timer = setTimeout(go, 250);
  });
}

const here = () => location.pathname + location.search;
let turns = 0, shown = here();

// Takes the main part of a page in place of the one shown; what was focused and scrolled stays so.
async function show(address, { remember = false, unlessSame = false } = {}) {
  // Answers may come in another order than they were asked for; the last choice counts.
  const turn = remember ? ++turns : turns;
  const away = document.getElementById("away");
  let text;
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/login") { location.assign(answer.url); return; }
    if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
    text = await answer.text();
  } catch (problem) {
    if (turn !== turns) return;
    // Neither the browser's own page for this nor, unasked for, one of ours takes away what can still be read.
    if (problem instanceof TypeError || (unlessSame && problem.status >= 500)) away.hidden = false; else location.assign(address);
    return;
  }
  if (turn !== turns) return;
  away.hidden = true;
  const page = new DOMParser().parseFromString(text, "text/html"), state = page.body.dataset.state;
  if (unlessSame && state === document.body.dataset.state) return;
  document.body.dataset.state = state;
  const main = document.getElementById("main"), fresh = page.getElementById("main");
  const focus = document.activeElement;
  const mark = focus && main.contains(focus) ? { id: focus.id, name: focus.name, value: focus.value, type: focus.type, at: focus.selectionStart } : null;
  const headline = main.querySelector("h1")?.textContent;
  const kept = remember || unlessSame ? keepPicker(main, fresh) : undefined;
  main.replaceChildren(...fresh.childNodes);
  kept?.();
  document.querySelector(".foot").replaceChildren(...page.querySelector(".foot").childNodes);
  document.title = page.title;
  shown = address;
  if (remember) history.pushState(null, "", address);
  const told = main.querySelector("h1")?.textContent;
  if (remember && told !== headline) document.getElementById("said").textContent = told;
  if (focus?.isConnected) focus.focus({ preventScroll: true });
  else if (mark?.id) document.getElementById(mark.id)?.focus({ preventScroll: true });
  else if (mark?.name) {
    const again = [...main.querySelectorAll(`[name="${mark.name}"]`)].find((node) => mark.type === "search" || node.value === mark.value);
    again?.focus({ preventScroll: true });
    if (mark.type === "search" && again) { again.value = mark.value; again.setSelectionRange(mark.at, mark.at); }
  }
  wire(main);
}

// A list of stores that somebody is choosing from moves on to the new page as it is: open, searched, scrolled.
function keepPicker(main, fresh) {
  const picker = main.querySelector(".picker[open]"), other = fresh.querySelector(".picker");
  if (!picker || !other) return undefined;
  const at = picker.querySelector(".choices").scrollTop;
  picker.querySelector("summary").textContent = other.querySelector("summary").textContent;
  other.replaceWith(picker);
  return () => { picker.querySelector(".choices").scrollTop = at; };
}

// A page left open must not call itself fresh for ever.
const look = () => { if (document.body.dataset.state && !document.hidden) show(here(), { unlessSame: true }); };
setInterval(look, LOOK);
document.addEventListener("visibilitychange", look);
document.addEventListener("foreact:published", () => show(here()));
// Another place on the same page is no other page.
window.addEventListener("popstate", () => { if (here() !== shown) { turns += 1; show(here()); } });
document.addEventListener("click", (event) => {
  for (const picker of document.querySelectorAll(".picker[open]")) if (!picker.contains(event.target)) picker.removeAttribute("open");
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const picker of document.querySelectorAll(".picker[open]")) {
    picker.removeAttribute("open");
    picker.querySelector("summary").focus();
  }
});
wire(document);
