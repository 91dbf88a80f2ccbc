// What the pages do beyond HTML; all of it works without.
"use strict";
(() => {
  // A page takes nothing before it could be read: the second half of a double click, or a key that
  // is held, must not answer what has only just appeared. Whatever submits, submits a form.
  const settleMilliseconds = 500;
  // After that a form that got no reply may be sent again: the server knows one that it has.
  const resendMilliseconds = 4000;
  const root = document.documentElement;
  let settled = false;
  let sender = null; // what sent the form that is under way
  let timer = 0;

  const controls = () => document.querySelectorAll("form button, form input:not([type=hidden])");
  const settle = () => {
    settled = true;
    controls().forEach((each) => each.removeAttribute("aria-disabled"));
    root.dataset.settled = "";
  };
  const unsettle = () => {
    settled = false;
    delete root.dataset.settled;
    controls().forEach((each) => each.setAttribute("aria-disabled", "true"));
    clearTimeout(timer);
    // The first frame is drawn when the page is seen, not while its tab is in the background.
    requestAnimationFrame(() => { clearTimeout(timer); timer = setTimeout(settle, settleMilliseconds); });
  };
  const refuse = (event) => { event.preventDefault(); event.stopImmediatePropagation(); };
  document.addEventListener("click", (event) => {
    const target = event.target;
    if (!settled && target instanceof Element && target.closest("form, label") && !target.closest("a")) refuse(event);
  }, true);
  document.addEventListener("submit", (event) => {
    if (!settled || sender) { refuse(event); return; }
    send(event.target, event.submitter ?? event.target);
  }, true);

  // The time on the page, while it is visible and nothing is under way.
  let seen = 0;
  let since = null;
  const pause = () => { if (since !== null) { seen += performance.now() - since; since = null; } };
  const resume = () => { if (since === null && !document.hidden) since = performance.now(); };
  resume();
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));

  const send = (form, by) => {
    sender = by;
    by.classList.add("sending");
    form.setAttribute("aria-busy", "true");
    pause();
    const seconds = form.elements.namedItem("seconds");
    if (seconds) seconds.value = Math.min(seen / 1000, 86400).toFixed(2);
    setTimeout(() => { if (sender === by) release(); }, resendMilliseconds);
  };
  const release = () => {
    if (!sender) return;
    sender.classList.remove("sending");
    (sender.form ?? sender).removeAttribute("aria-busy");
    sender = null;
    resume();
  };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") release(); });
  // A page that comes back from the browser's memory may send again.
  window.addEventListener("pageshow", (event) => { if (event.persisted) { release(); unsettle(); } });

  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* plain http, or not allowed */ }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  };
  const offerCopy = (button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const from = [...document.querySelectorAll(button.dataset.copy)];
      if (!(await copy(from.map((each) => each.value || each.textContent).join("\n")))) return;
      const words = button.textContent;
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = words; }, 2000);
    });
  };

  const read = () => { try { return localStorage.getItem("study-keys"); } catch { return null; } };
  const keep = (value) => { try { localStorage.setItem("study-keys", value); } catch { /* private mode */ } };
  // On a layout without Latin letters the place of the key counts.
  const names = { KeyA: "a", KeyB: "b", KeyE: "e", KeyU: "u", Digit1: "1", Digit2: "2", Digit3: "3" };
  const answers = { a: "first", 1: "first", b: "second", 2: "second", e: "equal", 3: "equal" };
  const offerKeys = (form, undo, toggle) => {
    toggle.checked = read() !== "off";
    toggle.closest("[hidden]")?.removeAttribute("hidden");
    const mark = () => root.classList.toggle("keyed", toggle.checked);
    toggle.addEventListener("change", () => { keep(toggle.checked ? "on" : "off"); mark(); });
    mark();
    document.addEventListener("keydown", (event) => {
      if (!toggle.checked || !settled) return;
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
      const key = /^[a-z0-9]$/i.test(event.key) ? event.key.toLowerCase() : names[event.code];
      const button = key === "u" ? undo?.querySelector("button") : form.querySelector(`button[value="${answers[key]}"]`);
      if (!button) return;
      event.preventDefault();
      button.focus();
      button.form.requestSubmit(button);
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    unsettle();
    document.querySelectorAll("[data-copy]").forEach(offerCopy);
    const form = document.getElementById("answers");
    if (form) offerKeys(form, document.getElementById("undo"), document.getElementById("keys"));
  });
})();
