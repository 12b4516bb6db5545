// Arrow keys: among the images of the gallery, and from one image to the next.

const gallery = document.querySelector("#gallery");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const forward = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 2, ArrowUp: -2 }[event.key];
  if (!forward) return;
  if (gallery) move(event, forward);
  else if (Math.abs(forward) === 1) document.querySelector(forward > 0 ? "#older" : "#newer")?.click();
});

function move(event, forward) {
  const tiles = [...gallery.querySelectorAll(".tile")];
  const place = tiles.indexOf(document.activeElement);
  if (place < 0 && Math.abs(forward) === 2) return; // the page scrolls
  event.preventDefault();
  const top = (tile) => tile.getBoundingClientRect().top;
  const columns = Math.max(1, tiles.findIndex((tile) => top(tile) > top(tiles[0]) + 1));
  const step = Math.abs(forward) === 2 ? columns * Math.sign(forward) : forward;
  const next = place < 0 ? 0 : Math.min(tiles.length - 1, Math.max(0, place + step));
  tiles[next]?.focus();
}
