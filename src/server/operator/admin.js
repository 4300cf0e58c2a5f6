// Refreshes the operator's tables every 2 s: loads the same page and replaces the sections that
// changed. A focused control stays focused; typed text is outside of these sections.
'use strict';

const EVERY_MS = 2000;

function keyOf(element) {
  const form = element.closest('form');
  return element.getAttribute('href') ?? (form && new URLSearchParams(new FormData(form)).toString());
}

function replace(section, fresh) {
  if (section.innerHTML === fresh.innerHTML) return;
  const held = section.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  section.replaceChildren(...fresh.childNodes);
  if (held === null) return;
  const controls = [...section.querySelectorAll('a, button')];
  controls.find((control) => keyOf(control) === held)?.focus({ preventScroll: true });
}

async function refresh() {
  if (document.visibilityState !== 'visible') return;
  const answer = await fetch(location.href, { headers: { 'noom-refresh': '1' }, cache: 'no-store' });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const sections = [...document.querySelectorAll('[data-live]')];
  const fresh = sections.map((section) => page.getElementById(section.id));
  // The session ended, or the page has another form: show it as it is.
  if (fresh.some((section) => section === null)) return location.reload();
  sections.forEach((section, index) => replace(section, fresh[index]));
}

async function loop() {
  // A server that restarts is asked again later.
  await refresh().catch(() => {});
  setTimeout(loop, EVERY_MS);
}

setTimeout(loop, EVERY_MS);
