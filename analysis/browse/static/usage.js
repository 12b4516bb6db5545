// The charts of the usage page. Plot and d3 stand in the page as `Plot` and `d3`.
import { accent, draw, faint, frame, soft, sunk } from "./charts.js";

const { Plot, d3 } = window;
const holder = document.querySelector("#charts");
const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const month = (row) => ({ ...row, month: new Date(`${row.month}-01T00:00:00`) });
const whole = (count) => (Number.isInteger(count) ? d3.format("~s")(count) : "");
const counted = { grid: true, label: null, tickFormat: whole };

/** The months of some rows, and as many before them as make half a year: one month alone would fill the whole chart. */
function monthly(rows) {
  const months = rows.map((row) => month(row).month);
  const end = d3.timeMonth.offset(d3.max(months), 1);
  return { type: "time", label: null, domain: [d3.min([...months, d3.timeMonth.offset(end, -6)]), end] };
}

/** A bar wants a few pixels: the time that one stands for, where `rows` are days and all of them have `width` pixels. */
function barTime(rows, width) {
  const days = d3.timeDay.count(new Date(`${rows[0].day}T00:00:00`), new Date(`${rows.at(-1).day}T00:00:00`)) + 1;
  return days * 4 <= width ? "day" : days * 4 <= width * 7 ? "week" : "month";
}

/** Say of the prompts what one bar stands for. */
function sayTime(figure, time) {
  const title = `Prompts per ${time}`;
  const description = `How many messages you sent ${time === "day" ? "on" : "in"} each ${time}.`;
  figure.querySelector("h2").textContent = title;
  figure.querySelector("figcaption p").textContent = description;
  figure.querySelector(".plot").setAttribute("aria-label", `${title}. ${description}`);
}

/** Words cut to some pixels. */
function fitting(words, pixels) {
  const most = Math.floor(pixels / 7);
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}

const bars = (rows, y) => (width) => Plot.plot(frame(width, {
  x: monthly(rows),
  y: counted,
  marks: [
    Plot.rectY(rows.map(month), { x: "month", y, interval: "month", fill: accent(), inset: 1, rx: 2, tip: true }),
    Plot.ruleY([0], { stroke: soft(), strokeOpacity: 0.4 }),
  ],
}));

const kinds = {
  days: (rows, figure) => (width) => {
    const interval = barTime(rows, width);
    sayTime(figure, interval);
    return Plot.plot(frame(width, {
      x: { type: "time", label: null },
      y: counted,
      marks: [
        Plot.rectY(rows.map((row) => ({ ...row, day: new Date(`${row.day}T00:00:00`) })), Plot.binX(
          { y: "sum" },
          { x: "day", y: "prompts", interval, fill: accent(), inset: 0.5, tip: true },
        )),
        Plot.ruleY([0], { stroke: soft(), strokeOpacity: 0.4 }),
      ],
    }));
  },
  hours: (rows) => (width) => Plot.plot(frame(width, {
    height: frame(width).height,
    padding: 0.06,
    x: { label: null, domain: d3.range(24), tickFormat: (hour) => (hour % 3 ? "" : `${hour}`), tickSize: 0 },
    y: { label: null, domain: [1, 2, 3, 4, 5, 6, 0], tickFormat: (day) => days[day], tickSize: 0 },
    color: { domain: [0, d3.max(rows, (row) => row.prompts)], range: [faint(), accent()], type: "sqrt" },
    marks: [
      Plot.cell(d3.cross(d3.range(24), d3.range(7)), { x: "0", y: "1", fill: sunk(), rx: 3 }),
      Plot.cell(rows, { x: "hour", y: "weekday", fill: "prompts", rx: 3, tip: true, title: (row) => `${days[row.weekday]}, ${row.hour}:00: ${row.prompts}` }),
    ],
  })),
  share: (rows) => (width) => Plot.plot(frame(width, {
    x: monthly(rows),
    y: { grid: true, label: null, percent: true, tickFormat: (share) => `${share} %` },
    color: { ...frame(width).color, legend: true },
    marks: [
      Plot.rectY(rows.map(month), Plot.stackY({ offset: "normalize" }, { x: "month", y: "answers", interval: "month", fill: "model", inset: 0.5, tip: true })),
    ],
  })),
  latency: (rows) => (width) => Plot.plot(frame(width, {
    height: Math.max(frame(width).height - 24, 50 + rows.length * 34),
    marginLeft: Math.min(150, width / 3),
    x: { grid: true, label: "seconds", domain: [0, d3.max(rows, (row) => row.p90) * 1.1 || 1] },
    y: { label: null, domain: rows.map((row) => row.model), tickSize: 0, tickFormat: (model) => fitting(model, Math.min(150, width / 3)) },
    marks: [
      Plot.ruleY(rows, { y: "model", x1: "p50", x2: "p90", stroke: accent(), strokeWidth: 6, strokeOpacity: 0.25 }),
      Plot.dot(rows, { y: "model", x: "p50", fill: accent(), r: 5, tip: true, title: (row) => `${row.model}: p50 ${row.p50} s, p90 ${row.p90} s, ${row.answers} answers` }),
      Plot.tickX(rows, { y: "model", x: "p90", stroke: accent(), strokeWidth: 2, insetTop: 8, insetBottom: 8 }),
    ],
  })),
  characters: (rows) => (width) => Plot.plot(frame(width, {
    x: monthly(rows),
    y: counted,
    marks: [
      Plot.areaY(rows.map(month), { x: "month", y1: 0, y2: "characters", fill: accent(), fillOpacity: 0.12, curve: "monotone-x" }),
      Plot.lineY(rows.map(month), { x: "month", y: "characters", stroke: accent(), strokeWidth: 2, curve: "monotone-x", marker: "dot", tip: true }),
      Plot.ruleY([0], { stroke: soft(), strokeOpacity: 0.4 }),
    ],
  })),
  images: (rows) => (width) => Plot.plot(frame(width, {
    x: monthly(rows),
    y: counted,
    color: { ...frame(width).color, legend: new Set(rows.map((row) => row.status)).size > 1 },
    marks: [
      Plot.rectY(rows.map(month), { x: "month", y: "images", interval: "month", fill: "status", inset: 1, rx: 2, tip: true }),
      Plot.ruleY([0], { stroke: soft(), strokeOpacity: 0.4 }),
    ],
  })),
  minutes: (rows) => bars(rows, "minutes"),
  sizes: (rows) => (width) => Plot.plot(frame(width, {
    x: { label: "messages", tickFormat: (size) => (size > 1 ? `${size}–${size * 2 - 1}` : "1"), tickRotate: rows.length > 6 && width < 420 ? -35 : 0 },
    marginBottom: 46,
    y: counted,
    marks: [
      Plot.barY(rows, { x: "messages", y: "conversations", fill: accent(), inset: 1, rx: 2, tip: true }),
      Plot.ruleY([0], { stroke: soft(), strokeOpacity: 0.4 }),
    ],
  })),
  sites: (rows) => (width) => Plot.plot(frame(width, {
    height: 40 + Math.min(12, rows.length) * 24,
    marginLeft: Math.min(190, width / 2.4),
    x: { grid: true, label: null, ticks: Math.min(5, d3.max(rows, (row) => row.answers)), tickFormat: whole },
    y: { label: null, tickSize: 0, tickFormat: (site) => fitting(site.replace(/^https?:\/\//, ""), Math.min(190, width / 2.4)) },
    marks: [Plot.barX(rows.slice(0, 12), { x: "answers", y: "site", sort: { y: "-x" }, fill: accent(), rx: 2, inset: 2, tip: true })],
  })),
};

async function show() {
  const answer = await fetch(holder.dataset.address);
  const told = answer.ok ? await answer.json() : { charts: {} };
  for (const figure of holder.querySelectorAll(".chart")) {
    const place = figure.querySelector(".plot");
    const rows = told.charts[figure.id];
    if (!rows) place.replaceChildren(words("This could not be asked: it takes too long, or the archive cannot be read."));
    else if (!rows.length) place.replaceChildren(words("Nothing in this time."));
    else draw(place, kinds[figure.dataset.kind](rows, figure));
  }
}

function words(text) {
  const paragraph = document.createElement("p");
  paragraph.className = "waiting";
  paragraph.textContent = text;
  return paragraph;
}

show();
