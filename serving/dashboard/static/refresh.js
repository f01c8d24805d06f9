// "Update forecast": asks for a refresh, shows its steps as they happen, and puts the new numbers on the page.
import { duration } from "./format.js";

const NAMES = JSON.parse(document.getElementById("steps-data").textContent);
const ORDER = Object.keys(NAMES);
const MARKS = { running: "\u25cf", succeeded: "\u2713", failed: "\u2715", skipped: "\u2013", waiting: "\u25cb" };
const POLL = 1500;
// So many are followed by events: a browser opens six connections to one host, and pages need some for themselves.
const MOST = 3;
const panels = new Map();
let streams = 0;

export function wireRefreshes(root) {
  for (const button of root.querySelectorAll("[data-refresh]")) {
    button.addEventListener("click", () => ask(button));
    if (!button.dataset.following) continue;
    hold(button, true);
    const running = [...panels.values()].filter((panel) => panel.timer !== null);
    if (!running.some((panel) => panel.store === button.dataset.store) && running.length < MOST) follow(button.dataset.following, open(button.dataset.store));
  }
}

// A button that were disabled would lose the focus of whoever pressed it.
function hold(button, busy) {
  button.setAttribute("aria-disabled", busy);
}

async function ask(button) {
  if (button.ariaDisabled === "true") return;
  hold(button, true);
  const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
  const panel = open(button.dataset.store);
  try {
    const answer = await fetch(`/v1/stores/${button.dataset.refresh}/refreshes`, { method: "POST", headers: { "x-csrf-token": csrf } });
    // The page itself knows the way to the login and back.
    if (answer.status === 401) { location.reload(); return; }
    // What stands before the service may answer in its place, and in no JSON.
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error ? reason(body.error, answer.status) : "the service did not take the request");
    follow(body.id, panel, body);
  } catch (problem) {
    const text = problem instanceof TypeError ? "The service does not answer. Try again in a moment." : `This could not be asked for: ${problem.message}.`;
    finish(panel, text, true);
  }
}

function reason({ message, request_id }, status) {
  return status >= 500 ? `${message} (request ${request_id})` : message;
}

function follow(id, panel, known) {
  if (known) show(panel, known);
  let done = false;
  const take = (refresh) => {
    show(panel, refresh);
    if (refresh.ended_at) done = true;
    return done;
  };
  const poll = async () => {
    while (!done) {
      try {
        const answer = await fetch(`/v1/refreshes/${id}`);
        if (answer.ok) take(await answer.json());
        else if (answer.status === 404 || answer.status === 401) { finish(panel, "This update can no longer be followed. Load the page again.", true); return; }
        else tell(panel, "The service does not answer; trying again.");
      } catch { tell(panel, "The service does not answer; trying again."); }
      if (!done) await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  };
  if (!window.EventSource || streams >= MOST) { poll(); return; }
  const events = new EventSource(`/v1/refreshes/${id}/events`);
  streams += 1;
  const end = () => { events.close(); streams -= 1; };
  events.addEventListener("refresh", (event) => { if (take(JSON.parse(event.data))) end(); });
  events.onerror = () => { end(); if (!done) poll(); };
  window.addEventListener("pagehide", () => events.close(), { once: true });
}

// One panel a store: a new update of it takes the place of what the last one left.
function open(store) {
  const before = panels.get(store);
  if (before) close(before);
  const node = document.createElement("section");
  node.className = "run";
  node.setAttribute("aria-label", `Update of ${store}`);
  node.innerHTML = '<header><h2></h2><span class="clock"></span></header><p class="message" role="status"></p><ol></ol><footer></footer>';
  node.querySelector("h2").textContent = `Updating ${store}`;
  document.querySelector(".runs").append(node);
  const panel = { node, store, began: Date.now(), timer: null };
  panel.timer = setInterval(() => tick(panel), 1000);
  tick(panel);
  panels.set(store, panel);
  return panel;
}

function close(panel) {
  clearInterval(panel.timer);
  panel.node.remove();
  panels.delete(panel.store);
}

function tick(panel) {
  panel.node.querySelector(".clock").textContent = duration((Date.now() - panel.began) / 1000);
}

function tell(panel, text) {
  const place = panel.node.querySelector(".message");
  if (place.textContent !== text) place.textContent = text;
}

function show(panel, refresh) {
  panel.began = Date.now() - refresh.elapsed_seconds * 1000;
  tick(panel);
  if (refresh.state === "queued") {
    const before = refresh.waiting_before;
    tell(panel, before ? `Waiting: ${before} other update${before > 1 ? "s" : ""} first.` : "Waiting to start.");
  } else if (refresh.state === "running") {
    tell(panel, "Usually done within a minute or two.");
  }
  const steps = new Map(refresh.steps.map((step) => [step.name, step]));
  const names = [...ORDER, ...[...steps.keys()].filter((name) => !ORDER.includes(name))];
  const list = panel.node.querySelector("ol");
  list.hidden = refresh.state === "queued";
  list.replaceChildren(...names.map((name) => {
    const step = steps.get(name), state = step?.state ?? "waiting";
    const item = document.createElement("li");
    item.className = state;
    const mark = Object.assign(document.createElement("i"), { textContent: MARKS[state] });
    mark.setAttribute("aria-hidden", "true");
    const label = Object.assign(document.createElement("span"), { textContent: NAMES[name] ?? name });
    const progress = state === "running" && step.total ? `${step.done} of ${step.total}` : step?.seconds != null ? `${step.seconds.toFixed(1)} s` : "";
    const hidden = Object.assign(document.createElement("span"), { className: "unseen", textContent: ` ${state}` });
    label.append(hidden);
    item.append(mark, label, Object.assign(document.createElement("span"), { textContent: progress }));
    return item;
  }));
  if (refresh.state === "succeeded") finish(panel, `The new forecast is here, after ${duration(refresh.elapsed_seconds)}.`);
  if (refresh.state === "failed") finish(panel, `This failed in step \u201c${NAMES[refresh.failed_step] ?? refresh.failed_step}\u201d: ${refresh.sentence}. The last good forecast stays.`.replace("..", "."), true);
}

function finish(panel, message, failed = false) {
  clearInterval(panel.timer);
  panel.timer = null;
  panel.node.classList.toggle("failed", failed);
  panel.node.querySelector("h2").textContent = failed ? `${panel.store} was not updated` : `${panel.store} is updated`;
  tell(panel, message);
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  button.addEventListener("click", () => {
    close(panel);
    const asked = [...document.querySelectorAll("[data-refresh]")].find((each) => each.dataset.store === panel.store);
    (asked ?? document.getElementById("main")).focus({ preventScroll: true });
  });
  panel.node.querySelector("footer").replaceChildren(button);
  // What a page shows may have been put in place anew since the update was asked for.
  for (const asked of document.querySelectorAll("[data-refresh]")) {
    if (asked.dataset.store !== panel.store) continue;
    hold(asked, false);
    if (failed) [asked.textContent, asked.ariaLabel] = ["Try again", `Try again: ${panel.store}`];
  }
  if (!failed) document.dispatchEvent(new CustomEvent("foreact:published"));
}
