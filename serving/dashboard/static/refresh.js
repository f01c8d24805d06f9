// "Update forecast": requests a refresh, shows its steps as they happen, and then the new numbers.
import { duration } from "./format.js";

const STEP_TITLES = JSON.parse(document.getElementById("steps-data").textContent);
const STEP_NAMES = Object.keys(STEP_TITLES);
const MARKS = { running: "\u25cf", succeeded: "\u2713", failed: "\u2715", skipped: "\u2013", waiting: "\u25cb" };
const POLL_INTERVAL = 1500;
// So many are followed by events, because a browser opens six connections to a host and pages need some of them.
const MOST_STREAMS = 3;
const panels = new Map();
let streams = 0;

export function wireRefreshes(root) {
  for (const button of root.querySelectorAll("[data-refresh]")) {
    button.addEventListener("click", () => requestRefresh(button));
    if (!button.dataset.following) continue;
    markBusy(button, true);
    const running = [...panels.values()].filter((panel) => panel.timer !== null);
    if (!running.some((panel) => panel.store === button.dataset.store) && running.length < MOST_STREAMS) followRefresh(button.dataset.following, openPanel(button.dataset.store));
  }
}

// A disabled button would lose the focus, so it is only marked.
function markBusy(button, isBusy) {
  button.setAttribute("aria-disabled", isBusy);
}

async function requestRefresh(button) {
  if (button.ariaDisabled === "true") return;
  markBusy(button, true);
  const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
  const panel = openPanel(button.dataset.store);
  try {
    const answer = await fetch(`/v1/stores/${button.dataset.refresh}/refreshes`, { method: "POST", headers: { "x-csrf-token": csrf } });
    // Loading the page again leads to the login and back.
    if (answer.status === 401) { location.reload(); return; }
    // A proxy may answer in place of the service, and not in JSON.
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error ? describeError(body.error, answer.status) : "the service did not accept the request");
    followRefresh(body.id, panel, body);
  } catch (problem) {
    const text = problem instanceof TypeError ? "The service does not answer. Try again in a moment." : `The update could not be requested: ${problem.message}.`;
    finishPanel(panel, text, true);
  }
}

function describeError({ message, request_id }, status) {
  return status >= 500 ? `${message} (request ${request_id})` : message;
}

function followRefresh(id, panel, known) {
  if (known) showProgress(panel, known);
  let done = false;
  const update = (refresh) => {
    showProgress(panel, refresh);
    if (refresh.ended_at) done = true;
    return done;
  };
  const poll = async () => {
    while (!done) {
      try {
        const answer = await fetch(`/v1/refreshes/${id}`);
        if (answer.ok) update(await answer.json());
        else if (answer.status === 404 || answer.status === 401) { finishPanel(panel, "This update can no longer be followed. Load the page again.", true); return; }
        else setMessage(panel, "The service does not answer; trying again.");
      } catch { setMessage(panel, "The service does not answer; trying again."); }
      if (!done) await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
  };
  if (!window.EventSource || streams >= MOST_STREAMS) { poll(); return; }
  const events = new EventSource(`/v1/refreshes/${id}/events`);
  streams += 1;
  const end = () => { events.close(); streams -= 1; };
  events.addEventListener("refresh", (event) => { if (update(JSON.parse(event.data))) end(); });
  events.onerror = () => { end(); if (!done) poll(); };
  window.addEventListener("pagehide", () => events.close(), { once: true });
}

// There is one panel a store: a new update replaces the panel of the last one.
function openPanel(store) {
  const previous = panels.get(store);
  if (previous) closePanel(previous);
  const node = document.createElement("section");
  node.className = "run";
  node.setAttribute("aria-label", `Update of ${store}`);
  node.innerHTML = '<header><h2></h2><span class="clock"></span></header><p class="message" role="status"></p><ol></ol><footer></footer>';
  node.querySelector("h2").textContent = `Updating ${store}`;
  document.querySelector(".runs").append(node);
  const panel = { node, store, startedAt: Date.now(), timer: null };
  panel.timer = setInterval(() => updateClock(panel), 1000);
  updateClock(panel);
  panels.set(store, panel);
  return panel;
}

function closePanel(panel) {
  clearInterval(panel.timer);
  panel.node.remove();
  panels.delete(panel.store);
}

function updateClock(panel) {
  panel.node.querySelector(".clock").textContent = duration((Date.now() - panel.startedAt) / 1000);
}

function setMessage(panel, text) {
  const message = panel.node.querySelector(".message");
  if (message.textContent !== text) message.textContent = text;
}

function showProgress(panel, refresh) {
  panel.startedAt = Date.now() - refresh.elapsed_seconds * 1000;
  updateClock(panel);
  if (refresh.state === "queued") {
    const waiting = refresh.waiting_before;
    setMessage(panel, waiting ? `Waiting: ${waiting} other update${waiting > 1 ? "s" : ""} first.` : "Waiting to start.");
  } else if (refresh.state === "running") {
    const usual = refresh.usual_seconds;
    setMessage(panel, usual == null ? "How long it takes is known after the first update." : `The last updates took about ${duration(usual)}.`);
  }
  showSteps(panel, refresh);
  if (refresh.state === "succeeded") finishPanel(panel, `The new forecast is here, after ${duration(refresh.elapsed_seconds)}.`);
  if (refresh.state === "failed") finishPanel(panel, `The update failed in step \u201c${STEP_TITLES[refresh.failed_step] ?? refresh.failed_step}\u201d: ${refresh.sentence}. The last good forecast is still shown.`.replace("..", "."), true);
}

function showSteps(panel, refresh) {
  const steps = new Map(refresh.steps.map((step) => [step.name, step]));
  const names = [...STEP_NAMES, ...[...steps.keys()].filter((name) => !STEP_NAMES.includes(name))];
  const list = panel.node.querySelector("ol");
  list.hidden = refresh.state === "queued";
  list.replaceChildren(...names.map((name) => makeStep(name, steps.get(name))));
}

function makeStep(name, step) {
  const state = step?.state ?? "waiting";
  const item = Object.assign(document.createElement("li"), { className: state });
  const mark = Object.assign(document.createElement("i"), { textContent: MARKS[state] });
  mark.setAttribute("aria-hidden", "true");
  const label = Object.assign(document.createElement("span"), { textContent: STEP_TITLES[name] ?? name });
  label.append(Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: ` ${state}` }));
  const progress = state === "running" && step.total ? `${step.done} of ${step.total}` : step?.seconds != null ? `${step.seconds.toFixed(1)} s` : "";
  item.append(mark, label, Object.assign(document.createElement("span"), { textContent: progress }));
  return item;
}

function finishPanel(panel, message, failed = false) {
  clearInterval(panel.timer);
  panel.timer = null;
  panel.node.classList.toggle("failed", failed);
  panel.node.querySelector("h2").textContent = failed ? `${panel.store} was not updated` : `${panel.store} is updated`;
  setMessage(panel, message);
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  button.addEventListener("click", () => {
    closePanel(panel);
    const updateButton = [...document.querySelectorAll("[data-refresh]")].find((each) => each.dataset.store === panel.store);
    (updateButton ?? document.getElementById("main")).focus({ preventScroll: true });
  });
  panel.node.querySelector("footer").replaceChildren(button);
  // The page's buttons may have been replaced since the update was requested.
  for (const updateButton of document.querySelectorAll("[data-refresh]")) {
    if (updateButton.dataset.store !== panel.store) continue;
    markBusy(updateButton, false);
    if (failed) [updateButton.textContent, updateButton.ariaLabel] = ["Try again", `Try again: ${panel.store}`];
  }
  if (!failed) document.dispatchEvent(new CustomEvent("foreact:published"));
}
