// The choice among many stores: its checkboxes are made when it opens, and can be searched.

export function wirePicker(picker) {
  const names = picker.querySelector(".names");
  if (!names) return;
  // On the click, before it opens, so that the next key press finds the search box.
  picker.querySelector("summary").addEventListener("click", () => {
    fillChoices(picker, JSON.parse(names.textContent));
    names.remove();
  }, { once: true });
}

function fillChoices(picker, names) {
  const choices = picker.querySelector(".choices");
  const chosen = new Set([...choices.querySelectorAll(":checked")].map((box) => box.value));
  const searchBox = Object.assign(document.createElement("input"), { type: "search", placeholder: "Part of the name", autocomplete: "off" });
  searchBox.setAttribute("aria-label", "Find among the stores to choose from");
  const labels = names.map((name) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "store", value: name, checked: chosen.has(name) });
    label.append(box, Object.assign(document.createElement("span"), { textContent: name }));
    return label;
  });
  searchBox.addEventListener("input", () => {
    const wanted = searchBox.value.trim().toLowerCase();
    labels.forEach((label, index) => { label.hidden = !names[index].toLowerCase().includes(wanted); });
  });
  // Enter would submit the form.
  searchBox.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  choices.replaceChildren(searchBox, ...labels);
}
