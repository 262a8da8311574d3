"use strict";
const rows = [...document.querySelectorAll("tbody tr")];
const filters = document.querySelector(".filters");

// Sort by a column: by its number or time where it has one, else by what it says.
const compare = new Intl.Collator("en", { numeric: true }).compare;
const keyOf = (row, index) => row.cells[index].dataset.sort ?? row.cells[index].textContent;
for (const heading of document.querySelectorAll("thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const isNumber = heading.classList.contains("number");
    const now = heading.getAttribute("aria-sort");
    const descending = now ? now === "ascending" : isNumber;
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = heading.closest("table").tBodies[0];
    const order = (one, other) => {
      const [a, b] = [one, other].map((row) => keyOf(row, heading.cellIndex));
      return (isNumber ? a - b : compare(a, b)) * (descending ? -1 : 1);
    };
    body.append(...[...body.rows].sort(order));
  });
}

// Show only what is chosen; a row that does not tell of whom it is stays.
const isChosen = (row) => [...filters.elements].every((element) => {
  const { filter } = element.dataset;
  if (!filter || !element.value) return true;
  if (filter === "text") return row.textContent.toLowerCase().includes(element.value.toLowerCase());
  return !(filter in row.dataset) || row.dataset[filter] === element.value;
});
const narrow = () => {
  for (const row of rows) row.hidden = !isChosen(row);
  for (const count of document.querySelectorAll(".shown-rows")) {
    const all = [...count.closest("article").querySelectorAll("tbody tr")];
    const left = all.filter((row) => !row.hidden).length;
    count.textContent = left < all.length ? `${left} of ${all.length} rows fit the filters. ` : "";
  }
  const hidden = rows.filter((row) => row.hidden).length;
  filters.querySelector("output").textContent = hidden ? `${rows.length - hidden} of ${rows.length} rows` : "";
};
filters.addEventListener("input", narrow);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.hidden = false;

// Copy a query.
for (const query of document.querySelectorAll(".query")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const text = query.querySelector("pre");
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      getSelection().selectAllChildren(text);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
  });
  query.append(button);
}
