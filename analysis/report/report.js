// Draws what the page holds as JSON. Plot and d3 stand before this in the page; nothing is fetched.
const year = JSON.parse(document.getElementById("figures").textContent);
const narrow = { style: { background: "none", fontSize: "12px" }, width: 900, marginLeft: 60 };
const months = d3.range(12).map((month) => `${year.year}-${String(month + 1).padStart(2, "0")}`);
const monthName = (month) => new Date(`${month}-15T00:00Z`).toLocaleString("en", { month: "short", timeZone: "UTC" });

function draw(id, rows, options) {
  const place = document.getElementById(id);
  if (rows.length === 0) place.closest("section").hidden = true;
  else place.append(Plot.plot({ ...narrow, ...options }));
}

const day = (row) => new Date(`${row.day}T00:00Z`);
draw("activity", year.days, {
  height: 170, padding: 0.1, x: { axis: null }, y: { tickFormat: (d) => "SMTWTFS"[d], tickSize: 0, label: null },
  fy: { tickFormat: "" }, color: { scheme: "ylgnbu", legend: true, label: "prompts a day" },
  marks: [Plot.cell(year.days, {
    x: (row) => d3.utcWeek.count(d3.utcYear(day(row)), day(row)), y: (row) => day(row).getUTCDay(), fill: "prompts",
    title: (row) => `${row.day}: ${row.prompts} prompts, ${row.answers} answers, ${row.images} images`,
  })],
});
draw("models", year.models, {
  height: 320, x: { domain: months, tickFormat: monthName, label: null }, y: { grid: true, label: "answers" },
  color: { legend: true, scheme: "tableau10" },
  marks: [Plot.barY(year.models, { x: "month", y: "answers", fill: "model", order: "-sum", tip: true })],
});
draw("hours", year.hours, {
  height: 230, padding: 0.05, x: { label: "hour (UTC)" },
  y: { tickFormat: (d) => ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][d], label: null },
  color: { scheme: "ylgnbu" },
  marks: [Plot.cell(year.hours, { x: "hour", y: "weekday", fill: "prompts", tip: true })],
});
draw("thinking", year.thinking, {
  height: 240, x: { domain: months, tickFormat: monthName, label: null }, y: { grid: true, label: "minutes" },
  marks: [Plot.barY(year.thinking, { x: "month", y: "minutes", fill: "#7a5cc4", tip: true })],
});
draw("sites", year.sites, {
  height: 40 + 24 * year.sites.length, marginLeft: 220, x: { grid: true, label: "times cited" }, y: { label: null },
  marks: [Plot.barX(year.sites, { x: "citations", y: "site", fill: "#2a7f9e", sort: { y: "-x" }, tip: true })],
});
