// The list of conversations, and what stands over it, follows the capture.
import { whileSeen } from "./archive.js";

const recent = document.querySelector("#recent");

whileSeen(async () => {
  const answer = await fetch(`/-/archive/recent?seen=${encodeURIComponent(recent.dataset.seen)}`);
  if (!answer.ok) return 15000;
  const news = await answer.json();
  if (news.changed) {
    const held = document.activeElement?.closest?.("#recent a")?.getAttribute("href");
    recent.innerHTML = news.html;
    recent.dataset.seen = news.seen;
    if (held) recent.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
  }
  return recent.querySelector(".growing") ? 2000 : 4000;
});
