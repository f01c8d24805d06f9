// "Update forecast": asks for a refresh, shows its steps as they happen, and puts the new numbers on the page.
import { duration } from "./format.js";

const NAMES = { locate: "Find the sales", ingest: "Read the sales", validate: "Check them", train: "Learn and forecast", register: "Keep the model", publish: "Publish" };
const ORDER = Object.keys(NAMES);
const MARKS = { running: "\u25cf", succeeded: "\u2713", failed: "\u2715", skipped: "\u2013", waiting: "\u25cb" };
const POLL = 1500;
let panel = null;

export function wireRefreshes(root) {
  for (const button of root.querySelectorAll("[data-refresh]")) {
    button.addEventListener("click", () => ask(button));
    if (button.dataset.following) {
      button.disabled = true;
      if (!panel) follow(button.dataset.following, button);
    }
  }
}

async function ask(button) {
  button.disabled = true;
  const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
  try {
    const answer = await fetch(`/v1/stores/${button.dataset.refresh}/refreshes`, { method: "POST", headers: { "x-csrf-token": csrf } });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error?.message ?? "the service did not take the request");
    follow(body.id, button, body);
  } catch (problem) {
    open(button.dataset.store);
    const text = problem instanceof TypeError ? "The service does not answer. Try again in a moment." : `This could not be asked for: ${problem.message}.`;
    finish({ failed: true, message: text }, button);
  }
}

function follow(id, button, known) {
  open(button.dataset.store);
  if (known) show(known, button);
  let done = false;
  const take = (refresh) => {
    show(refresh, button);
    if (refresh.ended_at) done = true;
    return done;
  };
  const poll = async () => {
    while (!done) {
      try {
        const answer = await fetch(`/v1/refreshes/${id}`);
        if (answer.ok) take(await answer.json());
        else if (answer.status === 404 || answer.status === 401) { finish({ failed: true, message: "This update can no longer be followed. Load the page again." }, button); return; }
        else tell("The service does not answer; trying again.");
      } catch { tell("The service does not answer; trying again."); }
      if (!done) await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  };
  if (!window.EventSource) { poll(); return; }
  const events = new EventSource(`/v1/refreshes/${id}/events`);
  events.addEventListener("refresh", (event) => { if (take(JSON.parse(event.data))) events.close(); });
  events.onerror = () => { events.close(); if (!done) poll(); };
  window.addEventListener("pagehide", () => events.close(), { once: true });
}

function open(store) {
  panel?.timer && clearInterval(panel.timer);
  panel?.node.remove();
  const node = document.createElement("section");
  node.className = "run";
  node.setAttribute("aria-label", "Update of the forecast");
  node.innerHTML = '<header><h2></h2><span class="clock"></span></header><p class="message" role="status"></p><ol></ol><footer></footer>';
  node.querySelector("h2").textContent = `Updating ${store}`;
  document.body.append(node);
  panel = { node, store, began: Date.now(), timer: null, last: "" };
  panel.timer = setInterval(tick, 1000);
  tick();
}

function tick() {
  panel.node.querySelector(".clock").textContent = duration((Date.now() - panel.began) / 1000);
}

function tell(text) {
  const place = panel.node.querySelector(".message");
  if (place.textContent !== text) place.textContent = text;
}

function show(refresh, button) {
  panel.began = Date.now() - refresh.elapsed_seconds * 1000;
  tick();
  if (refresh.state === "queued") {
    const before = refresh.waiting_before;
    tell(before ? `Waiting: ${before} other update${before > 1 ? "s" : ""} first.` : "Waiting to start.");
  } else if (refresh.state === "running") {
    tell("Usually done within a minute or two.");
  }
  const steps = new Map(refresh.steps.map((step) => [step.name, step]));
  const names = [...ORDER, ...[...steps.keys()].filter((name) => !ORDER.includes(name))];
  const list = panel.node.querySelector("ol");
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
  if (refresh.state === "succeeded") finish({ message: `The new forecast is here, after ${duration(refresh.elapsed_seconds)}.` }, button);
  if (refresh.state === "failed") finish({ failed: true, message: `This failed in step \u201c${NAMES[refresh.failed_step] ?? refresh.failed_step}\u201d: ${refresh.sentence}. The last good forecast stays.`.replace("..", ".") }, button);
}

async function finish({ failed = false, message }, button) {
  clearInterval(panel.timer);
  panel.timer = null;
  panel.node.classList.toggle("failed", failed);
  panel.node.querySelector("h2").textContent = failed ? `${panel.store} was not updated` : `${panel.store} is updated`;
  tell(message);
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  const mine = panel.node;
  close.addEventListener("click", () => { mine.remove(); if (panel?.node === mine) panel = null; });
  panel.node.querySelector("footer").replaceChildren(close);
  button.disabled = false;
  if (failed) { button.textContent = "Try again"; return; }
  document.dispatchEvent(new CustomEvent("foreact:published"));
}
