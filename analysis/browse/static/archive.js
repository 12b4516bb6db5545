// Every page: `/` goes to the search, code can be copied.

const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const field = document.querySelector("#q") ?? document.querySelector("#find");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

// A field for a day that is empty says so, and not in which order a browser writes days.
for (const field of document.querySelectorAll("input[type=date]")) {
  const say = () => field.classList.toggle("any-day", !field.value);
  field.addEventListener("input", say);
  say();
}

/** Give each block of code below an element a button that copies it. */
export function copyButtons(within) {
  for (const block of within.querySelectorAll(".code:not(:has(.copy))")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    block.append(button);
  }
}

/** Call `look` again and again while the page is seen; it returns the milliseconds until the next time. */
export function whileSeen(look) {
  let waiting = null;
  const again = async () => {
    waiting = null;
    let pause = 5000;
    if (document.visibilityState === "visible") {
      try { pause = await look(); } catch { pause = 10000; }
    }
    waiting ??= setTimeout(again, pause);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible" || waiting === null) return;
    clearTimeout(waiting);
    again();
  });
  waiting = setTimeout(again, 1000);
}

/** Say it where an image cannot be shown: its file may have been left behind when the archive was copied. */
function sayMissing(image) {
  if (!image.closest("main") || !image.parentElement) return;
  const words = document.createElement("span");
  words.className = image.closest(".tile") ? "nothing" : image.closest(".stage") ? "missing big" : "missing";
  words.textContent = image.closest(".tile") ? "not in the media folder" : "This file is not in the media folder";
  image.replaceWith(words);
}

addEventListener("error", (event) => {
  if (event.target instanceof HTMLImageElement) sayMissing(event.target);
}, true);
for (const image of document.images) {
  if (image.complete && image.getAttribute("src") && !image.naturalWidth) sayMissing(image);
}

copyButtons(document);
