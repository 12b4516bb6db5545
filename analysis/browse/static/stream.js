// The bytes of one exchange over time.
import { accent, draw, frame, soft } from "./charts.js";

const { Plot } = window;
const side = { left: 52, right: 12 };
const line = 16;

/** The line over the chart on which each mark has its words, so that none stand on others. `marks` are in order. */
function lines(marks, end, width) {
  const taken = [];
  return marks.map(({ at, words }) => {
    const middle = side.left + (at / end) * (width - side.left - side.right);
    const half = words.length * 3.4 + 4;
    const free = taken.findIndex((until) => until <= middle - half);
    const chosen = free < 0 ? taken.length : free;
    taken[chosen] = middle + half;
    return chosen;
  });
}

const place = document.querySelector("#curve");

if (place) {
  const { arrivals, marks } = JSON.parse(document.querySelector("#curve-data").textContent);
  const points = arrivals.map(([at, bytes]) => ({ at, bytes }));
  const end = Math.max(...[...points, ...marks].map(({ at }) => at)) || 1;
  draw(place, (width) => {
    const over = lines(marks, end, width);
    const marginTop = 26 + line * Math.max(0, ...over);
    return Plot.plot(frame(width, {
      marginLeft: side.left,
      marginRight: side.right,
      marginTop,
      height: 260,
      x: { label: "seconds", grid: true, domain: [0, end] },
      y: { label: null, grid: true, tickFormat: window.d3.format("~s") },
      marks: [
        Plot.areaY([{ at: 0, bytes: 0 }, ...points], { x: "at", y1: 0, y2: "bytes", curve: "step-after", fill: accent(), fillOpacity: 0.12 }),
        Plot.lineY([{ at: 0, bytes: 0 }, ...points], { x: "at", y: "bytes", curve: "step-after", stroke: accent(), strokeWidth: 1.8, tip: true }),
        Plot.tickX(points, { x: "at", stroke: soft(), strokeOpacity: 0.5, y: null, insetTop: 240 - marginTop }),
        Plot.ruleX(marks, { x: "at", stroke: soft(), strokeDasharray: "3 3" }),
        ...marks.map((mark, n) => Plot.text([mark], { x: "at", text: "words", frameAnchor: "top", dy: -12 - line * over[n], fill: soft() })),
      ],
    }));
  });
}
