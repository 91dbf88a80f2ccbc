// Conveniences of the comparison page; all of it works without them.
"use strict";
(() => {
  const answers = document.getElementById("answers");
  if (!answers) return;
  const undo = document.getElementById("undo");
  const toggle = document.getElementById("keys");
  const values = { a: "first", 1: "first", b: "second", 2: "second", e: "equal", 3: "equal" };
  const settleMilliseconds = 400; // a key pressed twice must not answer the next comparison unread

  let seen = 0;
  let since = document.hidden ? null : performance.now();
  const pause = () => { if (since !== null) { seen += performance.now() - since; since = null; } };
  const resume = () => { if (since === null) since = performance.now(); };
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  setTimeout(() => { answers.dataset.settled = ""; }, settleMilliseconds);

  let sent = false;
  for (const form of [answers, undo]) {
    if (!form) continue;
    form.addEventListener("submit", (event) => {
      if (sent) { event.preventDefault(); return; }
      sent = true;
      pause();
      const seconds = form.elements.namedItem("seconds");
      if (seconds) seconds.value = Math.min(seen / 1000, 86400).toFixed(2);
    });
  }
  // A page that comes back from the browser's memory may send again; the server knows a repeated submit.
  window.addEventListener("pageshow", (event) => { if (event.persisted) { sent = false; resume(); } });

  const read = () => { try { return localStorage.getItem("study-keys"); } catch { return null; } };
  const keep = (value) => { try { localStorage.setItem("study-keys", value); } catch { /* private mode */ } };
  if (toggle) {
    toggle.checked = read() !== "off";
    toggle.closest("[hidden]")?.removeAttribute("hidden");
    const mark = () => document.documentElement.classList.toggle("keyed", toggle.checked);
    toggle.addEventListener("change", () => { keep(toggle.checked ? "on" : "off"); mark(); });
    mark();
  }

  document.addEventListener("keydown", (event) => {
    if (toggle && !toggle.checked) return;
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (!("settled" in answers.dataset)) return;
    if (event.target instanceof Element && event.target.closest("input[type=text], textarea, select")) return;
    const key = event.key.toLowerCase();
    const button = key === "u" ? undo?.querySelector("button") : answers.querySelector(`button[value="${values[key]}"]`);
    if (!button) return;
    event.preventDefault();
    button.focus();
    button.form.requestSubmit(button);
  });
})();
