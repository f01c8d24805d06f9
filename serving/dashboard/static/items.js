// A store's items: thousands of rows, of which only those in view are in the page.
import { change, count, dayText, units } from "./format.js";

// How many rows beyond the view are in the page, and how many are printed.
const MARGIN = 12, PRINTED = 60;
const WRITERS = { units, share: change, count, day: dayText, text: (value) => value };

export async function showItems(section) {
  const scroller = section.querySelector("[data-rows]"), body = scroller.querySelector("tbody");
  const searchBox = section.querySelector("[data-find]"), summary = section.querySelector("[data-count]");
  const base = `/stores/${section.dataset.base}`;
  const cells = JSON.parse(document.getElementById("item-columns").textContent);
  const fullSummary = summary.textContent;
  let table;
  try {
    const answer = await fetch(`${base}/items.json`, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    table = await answer.json();
  } catch {
    summary.textContent = "The items could not be loaded. Load the page again in a moment.";
    return;
  }
  const address = new URL(location.href);
  const state = {
    sort: table[address.searchParams.get("sort")] ? address.searchParams.get("sort") : "expected",
    order: address.searchParams.get("order") === "asc" ? "asc" : "desc",
    text: address.searchParams.get("find") ?? "",
  };
  searchBox.value = state.text;
  // The rows in order; of those rendered the first, the one after the last, and the height of each.
  let rows = [], first = -1, last = -1, height = 0;

  function selectRows() {
    const wanted = state.text.toLowerCase(), column = table[state.sort], sign = state.order === "asc" ? 1 : -1;
    rows = [...table.item.keys()].filter((row) => table.item[row].toLowerCase().includes(wanted));
    const known = rows.filter((row) => column[row] !== null);
    known.sort((a, b) => (column[a] < column[b] ? -sign : column[a] > column[b] ? sign : a - b));
    rows = [...known, ...rows.filter((row) => column[row] === null)];
    summary.textContent = state.text ? `${count(rows.length)} of ${count(table.item.length)} items match \u201c${state.text}\u201d.` : fullSummary;
    scroller.querySelector("table").setAttribute("aria-rowcount", rows.length + 1);
    for (const button of section.querySelectorAll("[data-sort]")) {
      const here = button.dataset.sort === state.sort;
      button.closest("th").setAttribute("aria-sort", here ? (state.order === "asc" ? "ascending" : "descending") : "none");
    }
    const query = new URLSearchParams({ q: state.text, sort: state.sort, order: state.order });
    for (const link of document.querySelectorAll("[data-export]")) {
      link.href = `${base}/export.${link.dataset.export}?${query}`;
    }
    first = last = -1;
    renderRows();
  }

  function renderRows(all = false) {
    // The style sheet says how high a row is, because narrow pages fold rows.
    const rowHeight = parseFloat(getComputedStyle(scroller).getPropertyValue("--row"));
    const from = all ? 0 : Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - MARGIN);
    const to = all ? Math.min(rows.length, PRINTED) : Math.min(rows.length, from + Math.ceil(scroller.clientHeight / rowHeight) + 2 * MARGIN);
    if (from === first && to === last && rowHeight === height) return;
    [first, last, height] = [from, to, rowHeight];
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.row : undefined;
    body.replaceChildren(spacerRow(from * rowHeight), ...rows.slice(from, to).map((row, i) => makeRow(row, from + i + 2)), spacerRow(all ? 0 : (rows.length - to) * rowHeight));
    if (focused !== undefined) body.querySelector(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
  }

  function spacerRow(height) {
    const row = document.createElement("tr");
    row.className = "space";
    row.setAttribute("aria-hidden", "true");
    const cell = row.insertCell();
    cell.style.height = `${height}px`;
    return row;
  }

  function makeRow(row, index) {
    const line = document.createElement("tr");
    line.role = "row";
    line.setAttribute("aria-rowindex", index);
    const head = document.createElement("th");
    head.scope = "row";
    head.role = "rowheader";
    const link = document.createElement("a");
    link.href = `${base}/items/${table.names[row]}`;
    link.textContent = link.title = table.item[row];
    link.dataset.row = row;
    head.append(link);
    line.append(head);
    // Where rows fold, the words before and after a cell say what it is.
    for (const { key, unit, number, before, after } of cells) {
      const cell = addCell(line, key);
      cell.textContent = WRITERS[unit](table[key][row]);
      if (number) cell.classList.add("n");
      if (before) cell.dataset.before = before;
      if (after) cell.dataset.after = after;
    }
    addCell(line, "shape").append(sparkline(table.shape[row]));
    return line;
  }

  function addCell(line, name) {
    const cell = line.insertCell();
    cell.role = "cell";
    cell.className = name;
    return cell;
  }

  function sparkline(values) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 24");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const top = Math.max(...values, .1);
    path.setAttribute("d", values.map((v, i) => `${i ? "L" : "M"}${((i / Math.max(values.length - 1, 1)) * 100).toFixed(1)} ${(22 - (v / top) * 20).toFixed(1)}`).join(""));
    path.setAttribute("vector-effect", "non-scaling-stroke");
    svg.append(path);
    return svg;
  }

  function saveState() {
    const url = new URL(location.href);
    url.searchParams.set("sort", state.sort);
    url.searchParams.set("order", state.order);
    if (state.text) url.searchParams.set("find", state.text); else url.searchParams.delete("find");
    history.replaceState(null, "", url);
  }

  section.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sort]");
    if (!button) return;
    const name = button.dataset.sort;
    state.order = name === state.sort ? (state.order === "asc" ? "desc" : "asc") : button.dataset.order;
    state.sort = name;
    scroller.scrollTop = 0;
    saveState();
    selectRows();
  });
  searchBox.addEventListener("input", () => { state.text = searchBox.value.trim(); scroller.scrollTop = 0; saveState(); selectRows(); });
  scroller.addEventListener("scroll", () => requestAnimationFrame(() => renderRows()), { passive: true });
  new ResizeObserver(() => { if (!matchMedia("print").matches) renderRows(); }).observe(scroller);
  window.addEventListener("beforeprint", () => {
    renderRows(true);
    if (rows.length > PRINTED) summary.textContent = `The first ${PRINTED} of ${count(rows.length)} items in this order; all are in the Excel file.`;
  });
  window.addEventListener("afterprint", selectRows);
  selectRows();
}
