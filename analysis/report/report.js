// Draws what the page holds as JSON. Plot and d3 stand before this in the page; nothing is fetched.
const year = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const months = d3.range(12).map((month) => `${year.year}-${String(month + 1).padStart(2, "0")}`);
const name = (month) => new Date(`${month}-15T00:00Z`).toLocaleString("en", { month: "short", timeZone: "UTC" });
const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const first = new Date(Date.UTC(year.year, 0, 1));
const day = (row) => new Date(`${row.day}T00:00Z`);
const week = (date) => d3.utcWeek.count(first, date);

function drawAll() {
  const width = Math.max(280, document.querySelector("section").clientWidth);
  const small = width < 560;
  const few = dark.matches ? "#1d4560" : "#cfe5f5", many = dark.matches ? "#9bdcff" : "#0b4f86";
  const violet = dark.matches ? "#a78bfa" : "#7a5cc4", blue = dark.matches ? "#4fb3d9" : "#2a7f9e";
  // What is counted in ones has no ticks between them.
  const whole = (number) => (Number.isInteger(number) ? number.toLocaleString("en") : "");
  const counts = (label, most, count) => ({
    grid: true, label, ticks: d3.ticks(0, most, count).filter(Number.isInteger), tickFormat: whole,
  });
  const total = (rows) => d3.sum(rows, (row) => row.answers);
  const answers = d3.max(d3.rollup(year.models, total, (row) => row.month).values());
  const shades = { type: "linear", range: [few, many], interpolate: "lab", domain: [1, 1] };
  const shaded = (rows) => ({ ...shades, domain: [1, Math.max(2, d3.max(rows, (row) => row.prompts))] });
  const monthly = { domain: months, tickFormat: (month) => (small ? name(month)[0] : name(month)), label: null };

  function draw(id, rows, options) {
    const place = document.getElementById(id);
    if (rows.length === 0) place.closest("section").hidden = true;
    else place.replaceChildren(Plot.plot({
      style: { background: "none", fontSize: "12px", overflow: "visible" },
      width, marginLeft: 40, marginRight: 8, ...options,
    }));
  }

  const at = { x: (date) => week(date), y: (date) => date.getUTCDay(), inset: small ? 0.5 : 1, rx: small ? 1 : 2 };
  draw("activity", year.days, {
    height: small ? 110 : 168, padding: 0,
    x: {
      domain: d3.range(54), tickSize: 0, label: null, axis: "top",
      ticks: months.map((month) => week(new Date(`${month}-07T00:00Z`))),
      tickFormat: (number) => {
        const middle = d3.utcDay.offset(d3.utcWeek.offset(d3.utcWeek.floor(first), number), 6);
        const text = name(middle.toISOString().slice(0, 7));
        return small ? text[0] : text;
      },
    },
    y: { domain: d3.range(7), tickFormat: (number) => (number % 2 ? weekdays[number] : ""), tickSize: 0, label: null },
    color: { ...shaded(year.days), legend: !small, label: "prompts a day", tickFormat: whole },
    marks: [
      Plot.cell(d3.utcDays(first, new Date(Date.UTC(Number(year.year) + 1, 0, 1))), { ...at, fill: "var(--tile)" }),
      Plot.cell(year.days, {
        ...at, x: (row) => week(day(row)), y: (row) => day(row).getUTCDay(), fill: "prompts",
        title: (row) => `${row.day}: ${row.prompts} prompts, ${row.answers} answers, ${row.images} images`,
      }),
    ],
  });
  draw("models", year.models, {
    height: small ? 240 : 320, x: monthly, y: counts("answers", answers, 6),
    color: { legend: true, scheme: "tableau10" },
    marks: [Plot.barY(year.models, { x: "month", y: "answers", fill: "model", order: "-sum", tip: true })],
  });
  draw("hours", year.hours, {
    height: 240, marginBottom: 40, padding: 0,
    x: { domain: d3.range(24), label: "hour (UTC)", tickSize: 0, ticks: d3.range(0, 24, small ? 6 : 2) },
    y: { domain: d3.range(7), tickFormat: (number) => weekdays[number], label: null, tickSize: 0 },
    color: shaded(year.hours),
    marks: [
      Plot.cell(d3.cross(d3.range(24), d3.range(7)), { x: "0", y: "1", fill: "var(--tile)", inset: 1, rx: 2 }),
      Plot.cell(year.hours, { x: "hour", y: "weekday", fill: "prompts", inset: 1, rx: 2, tip: true }),
    ],
  });
  draw("thinking", year.thinking, {
    height: 240, x: monthly, y: { grid: true, label: "minutes" },
    marks: [Plot.barY(year.thinking, { x: "month", y: "minutes", fill: violet, tip: true })],
  });
  draw("sites", year.sites, {
    height: 60 + 24 * year.sites.length, marginBottom: 40, marginLeft: Math.min(220, Math.round(width * 0.45)),
    x: counts("answers that cite it", d3.max(year.sites, (row) => row.answers), small ? 4 : 8),
    y: { label: null, tickSize: 0 },
    marks: [Plot.barX(year.sites, { x: "answers", y: "site", fill: blue, sort: { y: "-x" }, tip: true })],
  });
}

drawAll();
dark.addEventListener("change", drawAll);
let drawn = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== drawn) drawAll();
  drawn = innerWidth;
});
