// The choice among many stores: made when it is looked at, and searched within.

export function wirePicker(picker) {
  const names = picker.querySelector(".names");
  if (!names) return;
  // Before it opens, so that the next key finds what it is for.
  picker.querySelector("summary").addEventListener("click", () => {
    fillChoices(picker, JSON.parse(names.textContent));
    names.remove();
  }, { once: true });
}

function fillChoices(picker, names) {
  const place = picker.querySelector(".choices");
  const chosen = new Set([...place.querySelectorAll(":checked")].map((box) => box.value));
  const find = Object.assign(document.createElement("input"), { type: "search", placeholder: "Part of the name", autocomplete: "off" });
  find.setAttribute("aria-label", "Find among the stores to choose from");
  const labels = names.map((name) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "store", value: name, checked: chosen.has(name) });
    label.append(box, Object.assign(document.createElement("span"), { textContent: name }));
    return label;
  });
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    labels.forEach((label, place) => { label.hidden = !names[place].toLowerCase().includes(wanted); });
  });
  // Enter would ask for the page as it is.
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  place.replaceChildren(find, ...labels);
}
