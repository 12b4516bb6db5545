// The bytes of one exchange over time.
import { accent, draw, frame, soft } from "./charts.js";

const { Plot } = window;
const place = document.querySelector("#curve");

if (place) {
  const { arrivals, marks } = JSON.parse(document.querySelector("#curve-data").textContent);
  const points = arrivals.map(([at, bytes]) => ({ at, bytes }));
  draw(place, (width) => Plot.plot(frame(width, {
    marginLeft: 52,
    marginTop: 26,
    height: 260,
    x: { label: "seconds", grid: true },
    y: { label: null, grid: true, tickFormat: window.d3.format("~s") },
    marks: [
      Plot.areaY([{ at: 0, bytes: 0 }, ...points], { x: "at", y1: 0, y2: "bytes", curve: "step-after", fill: accent(), fillOpacity: 0.12 }),
      Plot.lineY([{ at: 0, bytes: 0 }, ...points], { x: "at", y: "bytes", curve: "step-after", stroke: accent(), strokeWidth: 1.8, tip: true }),
      Plot.tickX(points, { x: "at", stroke: soft(), strokeOpacity: 0.5, y: null, insetTop: 214 }),
      Plot.ruleX(marks, { x: "at", stroke: soft(), strokeDasharray: "3 3" }),
      Plot.text(marks, { x: "at", text: "words", frameAnchor: "top", dy: -12, fill: soft(), textAnchor: (mark) => "middle" }),
    ],
  })));
}
