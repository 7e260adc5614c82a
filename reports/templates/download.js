// The scores of all samples as a file, made here from what the page carries.

function scoreRows() {
  const { statuses, tasks } = data.perSample;
  const rows = [];
  for (const [task, { ids, scores }] of Object.entries(tasks)) {
    ids.forEach((id, k) => scores.forEach((numbers, run) => {
      const number = numbers[k];
      if (number === null) return;
      rows.push({ task, id, model: data.models[run], status: number < 0 ? statuses[-number] : "ok", score: Math.max(number, 0) });
    }));
  }
  return rows;
}

// A text that a spreadsheet would take for a formula gets a quote before it.
function csvField(value) {
  const text = typeof value === "string" ? value.replace(/^(?=[=+\-@\t\r])/, "'") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(rows) {
  const heads = ["task", "id", "model", "status", "score"];
  return [heads, ...rows.map((row) => heads.map((head) => row[head]))]
    .map((row) => row.map(csvField).join(",") + "\r\n").join("");
}

function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

const download = document.getElementById("download");
if (Object.keys(data.perSample.tasks).length) {
  download.hidden = false;
  const [asCsv, asJson] = download.querySelectorAll("button");
  asCsv.addEventListener("click", () => save("viubench-scores.csv", "text/csv", csv(scoreRows())));
  asJson.addEventListener("click", () => save("viubench-scores.json", "application/json", JSON.stringify(scoreRows(), null, 1)));
  if (data.perSample.leftOut) download.append(` ${data.perSample.leftOut} tasks are too large for this page.`);
}
