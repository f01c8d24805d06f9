// Makes a page interactive; without it, everything but charts, items, updates and the choice among many stores still works.
import { drawCharts } from "./charts.js";
import { showItems } from "./items.js";
import { wirePicker } from "./picker.js";
import { wireRefreshes } from "./refresh.js";

// How often a page reloads itself that waits for the first publication.
const RELOAD_DELAY = 4000;
// How often an open page checks for newer numbers.
const CHECK_INTERVAL = 60_000;
// How long typing in the search box has to pause.
const TYPING_PAUSE = 250;

function wireControls(root) {
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
  if (root.querySelector("[data-wait]")) setTimeout(() => location.reload(), RELOAD_DELAY);
}

function wireFilters(form) {
  let timer;
  const applyFilters = async (button) => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
    if (button?.name) query.set(button.name, button.value);
    await loadMain(`${location.pathname}${query.size ? `?${query}` : ""}`, { remember: true });
    if (button?.name !== "page") return;
    const start = document.querySelector("[data-page-start]");
    start?.focus({ preventScroll: true });
    start?.closest("section").scrollIntoView();
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); applyFilters(event.submitter); });
  form.addEventListener("change", (event) => { if (event.target.type === "checkbox") applyFilters(); });
  form.addEventListener("input", (event) => {
    if (event.target.name !== "q") return;
    clearTimeout(timer);
    timer = setTimeout(applyFilters, TYPING_PAUSE);
  });
}

const currentAddress = () => location.pathname + location.search;
// The number of the latest choice: answers to earlier ones are dropped.
let latestChoice = 0, shownAddress = currentAddress();

// Loads a page and shows its main part in place of the current one. With `remember` the address goes into the history;
// with `unlessSame` nothing happens while the page's state is the shown one.
async function loadMain(address, { remember = false, unlessSame = false } = {}) {
  // Answers may come in another order than their requests.
  const choice = remember ? ++latestChoice : latestChoice;
  const unreachable = document.getElementById("unreachable");
  let page;
  try {
    page = await fetchPage(address);
  } catch (problem) {
    if (choice !== latestChoice) return;
    // Neither the browser's own error page nor, for a check in the background, one of ours replaces what can be read.
    if (problem instanceof TypeError || (unlessSame && problem.status >= 500)) unreachable.hidden = false; else location.assign(address);
    return;
  }
  if (!page || choice !== latestChoice) return;
  unreachable.hidden = true;
  const { state } = page.body.dataset;
  if (unlessSame && state === document.body.dataset.state) return;
  document.body.dataset.state = state;
  swapMain(page, { remember, keepPicker: remember || unlessSame });
  shownAddress = address;
  if (remember) history.pushState(null, "", address);
}

// Returns nothing if the session has ended: the browser is on its way to the login.
async function fetchPage(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (answer.redirected && new URL(answer.url).pathname === "/login") { location.assign(answer.url); return undefined; }
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// Replaces the main part and the footer; focus, selection and scrolling stay where they were.
function swapMain(page, { remember, keepPicker }) {
  const main = document.getElementById("main"), newMain = page.getElementById("main");
  const restoreFocus = saveFocus(main);
  const headline = main.querySelector("h1")?.textContent;
  const restorePicker = keepPicker ? movePicker(main, newMain) : undefined;
  main.replaceChildren(...newMain.childNodes);
  restorePicker?.();
  document.querySelector(".foot").replaceChildren(...page.querySelector(".foot").childNodes);
  document.title = page.title;
  const newHeadline = main.querySelector("h1")?.textContent;
  if (remember && newHeadline !== headline) document.getElementById("announcer").textContent = newHeadline;
  restoreFocus();
  wireControls(main);
}

// Returns a function that focuses the element that is focused now, or the one that has taken its place.
function saveFocus(main) {
  const focused = document.activeElement;
  const inMain = focused && main.contains(focused);
  const { id, name, value, type, selectionStart } = focused ?? {};
  return () => {
    if (focused?.isConnected) { focused.focus({ preventScroll: true }); return; }
    if (!inMain) return;
    if (id) { document.getElementById(id)?.focus({ preventScroll: true }); return; }
    if (!name) return;
    const replacement = [...main.querySelectorAll(`[name="${name}"]`)].find((node) => type === "search" || node.value === value);
    replacement?.focus({ preventScroll: true });
    if (type === "search" && replacement) { replacement.value = value; replacement.setSelectionRange(selectionStart, selectionStart); }
  };
}

// Moves an open picker to the new page as it is: open, searched, scrolled. Returns a function that scrolls it back.
function movePicker(main, newMain) {
  const picker = main.querySelector(".picker[open]"), newPicker = newMain.querySelector(".picker");
  if (!picker || !newPicker) return undefined;
  const { scrollTop } = picker.querySelector(".choices");
  picker.querySelector("summary").textContent = newPicker.querySelector("summary").textContent;
  newPicker.replaceWith(picker);
  return () => { picker.querySelector(".choices").scrollTop = scrollTop; };
}

// A page left open must not go on showing old numbers as fresh.
const showNewerNumbers = () => { if (document.body.dataset.state && !document.hidden) loadMain(currentAddress(), { unlessSame: true }); };
setInterval(showNewerNumbers, CHECK_INTERVAL);
document.addEventListener("visibilitychange", showNewerNumbers);
document.addEventListener("foreact:published", () => loadMain(currentAddress()));
// Another fragment of the same page is not another page.
window.addEventListener("popstate", () => { if (currentAddress() !== shownAddress) { latestChoice += 1; loadMain(currentAddress()); } });
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
wireControls(document);
