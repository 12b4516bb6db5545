// Charts in the colours of the page: they follow it from light to dark.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const colours = () => (matchMedia("(prefers-color-scheme: dark)").matches
  ? ["#7accb8", "#efb366", "#94bdf0", "#e19ac8", "#a3d19b", "#f2988f", "#c3b1f0", "#d6cf8a"]
  : ["#12695a", "#b5651d", "#1d4f91", "#8b2f6b", "#4c7a2c", "#a3261f", "#5a45a0", "#7a7118"]);

export const accent = () => css("--accent");
export const soft = () => css("--soft");
export const sunk = () => css("--sunk");
/** The least of what is counted: it must still stand out from what lies under the chart. */
export const faint = () => window.d3.interpolateRgb(css("--card"), accent())(0.25);

/** Draw a chart into an element, again when its width or the colours change. `make` gets the width. */
export function draw(element, make) {
  let width = 0;
  const again = () => {
    const chart = make(width);
    chart.style.background = "none";
    chart.setAttribute("aria-hidden", "true"); // the element around it says what is shown
    element.replaceChildren(chart);
  };
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now > 0 && now !== width) { width = now; again(); }
  }).observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
}

/** What all charts share. */
export const frame = (width, more = {}) => ({
  width,
  height: Math.round(Math.min(260, Math.max(160, width * 0.42))),
  marginLeft: 44,
  marginBottom: 38,
  marginRight: 12,
  style: { color: soft(), fontFamily: "inherit", fontSize: "12px", overflow: "visible" },
  color: { range: colours() },
  ...more,
});
