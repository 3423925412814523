"use strict";
const PALETTE = [/* PALETTE */];
const find = (id) => document.getElementById(id);
const drop = find("drop"), file = find("file"), key = find("key"), score = find("score");
const shown = find("shown"), said = find("said"), canvas = find("picture"), table = find("boxes");
let bitmap = null, answer = null, asked = 0;

function draw() {
  shown.textContent = Number(score.value).toFixed(2);
  if (!bitmap || !answer) return;
  const boxes = answer.detections.filter((box) => box.score >= Number(score.value));
  const wide = answer.width_px, high = answer.height_px;
  const scale = Math.min(1, 2048 / Math.max(wide, high));
  canvas.width = Math.max(1, Math.round(wide * scale));
  canvas.height = Math.max(1, Math.round(high * scale));
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const letter = Math.max(13, Math.round(Math.min(canvas.width, canvas.height) / 32));
  pen.font = letter + "px system-ui, sans-serif";
  pen.lineWidth = Math.max(2, Math.round(letter / 6));
  const body = table.tBodies[0];
  body.replaceChildren();
  for (const box of [...boxes].reverse()) {
    const [fill, ink] = PALETTE[(((box.class_id - 1) % PALETTE.length) + PALETTE.length) % PALETTE.length];
    const left = box.x_min * canvas.width, top = box.y_min * canvas.height;
    pen.strokeStyle = fill;
    pen.strokeRect(left, top, (box.x_max - box.x_min) * canvas.width, (box.y_max - box.y_min) * canvas.height);
    const text = box.label + " " + box.score.toFixed(2), width = pen.measureText(text).width + 8;
    const chip = Math.max(0, top - letter - 4);
    pen.fillStyle = fill;
    pen.fillRect(left, chip, width, letter + 4);
    pen.fillStyle = ink;
    pen.fillText(text, left + 4, chip + letter);
  }
  for (const box of boxes) {
    const row = body.insertRow();
    const px = (part, whole) => Math.round(part * whole);
    for (const text of [
      box.label, box.score.toFixed(3), px(box.x_min, wide) + ", " + px(box.y_min, high),
      px(box.x_max - box.x_min, wide) + " × " + px(box.y_max - box.y_min, high),
    ]) row.insertCell().textContent = text;
  }
  canvas.hidden = false;
  table.hidden = boxes.length === 0;
  said.textContent = boxes.length + " of " + answer.detections.length + " boxes, " + wide + " × " + high + " pixels";
}

async function detect(picture) {
  if (!picture) return;
  const mine = ++asked;
  bitmap = answer = null;
  canvas.hidden = table.hidden = true;
  said.textContent = "asking …";
  const headers = { "Accept": "application/json", "Content-Type": "application/octet-stream" };
  if (key.value) headers["X-API-Key"] = key.value;
  try {
    const response = await fetch("detect", { method: "POST", headers, body: picture });
    const content = await response.json();
    if (mine !== asked) return;
    if (!response.ok) { said.textContent = content.error; return; }
    answer = content;
    said.textContent = content.detections.length + " boxes; this browser can't show the picture";
    const decoded = await createImageBitmap(picture, { imageOrientation: "from-image" });
    if (mine !== asked) return;
    bitmap = decoded;
    draw();
  } catch (error) {
    if (mine === asked && !answer) said.textContent = "no answer: " + error.message;
  }
}

file.addEventListener("change", () => detect(file.files[0]));
score.addEventListener("input", draw);
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove("over"); });
drop.addEventListener("drop", (event) => detect(event.dataTransfer.files[0]));
