
"use strict";
const slider = document.getElementById("score");
const filters = [...document.querySelectorAll(".filter input")];
const figures = [...document.querySelectorAll("figure")].map((figure) => ({
  figure,
  boxes: [...figure.querySelectorAll(".box")],
  chips: [...figure.querySelectorAll(".chip")],
}));

function count(number) {
  return number === 1 ? "1 box" : `${number.toLocaleString("en")} boxes`;
}

function showBoxes() {
  const lowest = Number(slider.value);
  const wanted = new Set(filters.filter((filter) => filter.checked).map((filter) => filter.value));
  let shown = 0;
  let all = 0;
  for (const { figure, boxes, chips } of figures) {
    let here = 0;
    boxes.forEach((box, index) => {
      const visible = Number(box.dataset.score) >= lowest && wanted.has(box.dataset.label);
      box.classList.toggle("off", !visible);
      chips[index].classList.toggle("off", !visible);
      here += visible ? 1 : 0;
    });
    figure.querySelector(".count").textContent = count(here);
    shown += here;
    all += boxes.length;
  }
  document.getElementById("score-value").textContent = lowest.toFixed(2);
  document.getElementById("shown").textContent = `${shown.toLocaleString("en")} of ${count(all)} shown`;
}

function enlarge(frame) {
  frame.parentElement.classList.toggle("wide");
  frame.scrollIntoView({ block: "nearest" });
}

for (const { figure } of figures) {
  const frame = figure.querySelector(".frame");
  frame.addEventListener("click", () => enlarge(frame));
  frame.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      enlarge(frame);
    }
  });
}
for (const control of [slider, ...filters]) {
  control.addEventListener("input", showBoxes);
}
document.querySelector(".toolbar").addEventListener("submit", (event) => event.preventDefault());
showBoxes();
