// One conversation: it grows while it is answered, hits are marked, `j` and `k` go from message to message.
import { copyButtons, whileSeen } from "./archive.js";

const thread = document.querySelector("#thread");
const messages = document.querySelector("#messages");

// -- where to begin

function openTo(element) {
  for (let above = element.parentElement; above; above = above.parentElement) {
    if (above.tagName === "DETAILS") above.open = true;
  }
  const folded = element.querySelector(":scope > details.step");
  if (folded) folded.open = true;
}

function show(key, behavior = "auto") {
  const element = key && document.getElementById(key);
  if (!element) return;
  openTo(element);
  element.classList.remove("here");
  element.scrollIntoView({ block: "start", behavior });
  element.focus({ preventScroll: true });
  element.classList.add("here");
}

// -- hits of a search

function mark(words) {
  const terms = [...words.matchAll(/"([^"]+)"|([^\s"]+)/g)].map((match) => (match[1] ?? match[2]).toLowerCase());
  if (!terms.length || !("highlights" in CSS)) return;
  const ranges = [];
  const walker = document.createTreeWalker(messages, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.toLowerCase();
    for (const term of terms) {
      for (let at = text.indexOf(term); at >= 0 && ranges.length < 5000; at = text.indexOf(term, at + term.length)) {
        // Lower case may be longer than the text itself.
        if (at + term.length > node.length) break;
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + term.length);
        ranges.push(range);
      }
    }
  }
  CSS.highlights.set("words", new Highlight(...ranges));
}

const words = thread.dataset.words;
if (words) mark(words);
// The browser has gone to a fragment itself, but does not open what is folded.
const wanted = location.hash.slice(1);
show(/^m-\d+$/.test(wanted) ? wanted : thread.dataset.at);
window.addEventListener("hashchange", () => show(location.hash.slice(1)));

// -- keys

const reachable = () => [...messages.querySelectorAll(".message")].filter((element) => element.checkVisibility());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const all = reachable();
  const held = document.activeElement.closest?.(".message");
  let place = all.indexOf(held);
  if (place < 0) {
    const below = all.findIndex((element) => element.getBoundingClientRect().top > 60);
    place = step > 0 ? (below < 0 ? all.length : below) - 1 : (below < 0 ? all.length : below);
  }
  const next = all[Math.min(all.length - 1, Math.max(0, place + step))];
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "start" });
});

// -- the question that is read now, in the outline

const entries = new Map([...document.querySelectorAll(".outline a")].map((link) => [link.hash.slice(1), link]));
if (entries.size) {
  const questions = [...entries.keys()].map((key) => document.getElementById(key)).filter(Boolean);
  const follow = () => {
    const passed = questions.filter((element) => element.getBoundingClientRect().top < innerHeight / 3);
    const current = passed.at(-1) ?? questions[0];
    for (const [key, link] of entries) {
      if (key === current?.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  let asked = false;
  addEventListener("scroll", () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; follow(); });
  }, { passive: true });
  follow();
}

// -- what is written while the page is open

function place(article) {
  const old = document.getElementById(article.id);
  if (old) {
    const open = [...old.querySelectorAll("details")].map((details) => details.open);
    article.querySelectorAll("details").forEach((details, n) => { details.open = open[n] ?? false; });
    old.replaceWith(article);
    return;
  }
  const n = Number(article.dataset.n);
  const later = [...messages.querySelectorAll(".message")].find((element) => Number(element.dataset.n) > n);
  if (later && later.parentElement === messages) later.before(article);
  else messages.append(article);
}

function rename(title) {
  const heading = thread.querySelector("h1");
  if (!title || heading.textContent === title) return;
  heading.textContent = title;
  document.title = `${title} · ChatGPT Capture`;
}

if (thread.dataset.news) {
  whileSeen(async () => {
    const answer = await fetch(`${thread.dataset.news}&seen=${encodeURIComponent(thread.dataset.seen)}`);
    if (!answer.ok) return 15000;
    const news = await answer.json();
    const atEnd = innerHeight + scrollY > document.documentElement.scrollHeight - 120;
    const holder = document.createElement("template");
    holder.innerHTML = news.html;
    for (const article of [...holder.content.querySelectorAll(".message")]) place(article);
    if (holder.content.childElementCount || news.html.trim()) {
      copyButtons(messages);
      messages.querySelector(":scope > .empty")?.remove();
      if (words) mark(words);
    }
    rename(news.title);
    thread.dataset.seen = news.seen;
    thread.toggleAttribute("data-live", news.live);
    if (atEnd && news.live) scrollTo({ top: document.documentElement.scrollHeight });
    return news.live ? 1000 : 3000;
  });
}
