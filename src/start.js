// Starts the page, and is the one way out when it fails. Sent inside every page, so that it is
// there whatever else is not; `app.rs` leaves out comments and indentation.
//
// 1. Compares the tree it finds with the fingerprint the server sent (`fingerprint.rs`). The
//    same: it is hydrated. Another one: somebody changed it, and it is drawn again.
// 2. While it is hydrated, takes back what others change in it: a node in between would give
//    every following node the wrong handlers.
// 3. Whatever fails, a load or a panic, now or later: keeps what was typed, waits until the
//    server answers, and reloads once. Fails it again within five minutes, it goes to
//    `?plain=1`, the page without script, which says so. What it knows over a reload is in
//    `history.state`: that works where storage is blocked.
const facts = document.querySelector('script[data-page]')?.dataset ?? {};
const before = history.state?.noom;
const recent = () => before && Math.abs(Date.now() - before.at) < 3e5;
const again = recent();
let failed;
// Ends what guards the tree while it is hydrated.
let release = () => {};
// Milliseconds. Browsers give up loads when a page is left; that is no failure, unless it stays.
let patience = 0;
addEventListener('beforeunload', () => (patience = 1e4));

const typed = () => {
  const fields = {};
  for (const field of document.querySelectorAll('input:not([type=hidden]),textarea')) {
    if (field.name && field.value && field.value != field.defaultValue) fields[field.name] = field.value;
  }
  return fields;
};
const keep = (at, fields, url) => history.replaceState({ ...history.state, noom: { at, fields } }, '', url);
const restore = (fields, root) => {
  for (const name in fields) {
    const field = root.querySelector(`[name="${name}"]:not([type=hidden])`);
    if (field && field.value == field.defaultValue) field.value = fields[name];
  }
};

const reachable = async () => {
  for (let wait = 500; ; wait = Math.min(2 * wait, 3e4)) {
    try {
      if ((await fetch('/favicon.svg', { method: 'HEAD', cache: 'no-store' })).status < 500) return;
    } catch {}
    if (wait == 500) {
      const note = document.createElement('p');
      note.role = 'alert';
      note.className = 'plain';
      note.textContent = facts.wait;
      document.body.prepend(note);
    }
    await new Promise((done) => setTimeout(done, wait));
  }
};

const save = () => keep(Date.now(), { ...before?.fields, ...typed() });
const fail = async (path) => {
  if (failed) return;
  failed = true;
  release();
  const second = recent();
  save();
  await new Promise((done) => setTimeout(done, patience));
  await reachable();
  // People go on typing meanwhile.
  save();
  if (second || !self.WebAssembly) {
    const url = new URL(location);
    url.searchParams.set('plain', 1);
    history.replaceState(history.state, '', url);
  } else if (path && path != location.pathname) {
    return location.assign(path);
  }
  location.reload();
};

const trap = (error) => self.WebAssembly && error instanceof WebAssembly.RuntimeError && fail();
addEventListener('error', (event) => trap(event.error));
addEventListener('unhandledrejection', (event) => trap(event.reason));

// The last node of what is hydrated, where the tree is the one the server sent.
const untouched = () => {
  const trace = (node) =>
    node.nodeType == 3
      ? '\x01' + node.data
      : node.nodeType == 8
        ? '\x02' + node.data
        : '\x03' +
          node.localName +
          ['id', 'class', 'name', 'd'].map((name) => '|' + (node.getAttribute?.(name) ?? '')).join('') +
          [...node.childNodes].map(trace).join('') +
          '\x04';
  let text = '';
  let element, last;
  for (const node of document.body.childNodes) {
    if (element && node.nodeType != 8) break;
    text += trace(node);
    last = node;
    if (element) break;
    element = node.nodeType == 1;
  }
  const bytes = new TextEncoder().encode(text + '\x04\x04\x04\x04');
  let hash = 0;
  for (const word of new Uint32Array(bytes.buffer, 0, bytes.length >> 2)) {
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash = (hash << 15) | (hash >>> 17);
  }
  // Where the server could not read its own page it sends no number.
  return ['????????', (hash >>> 0).toString(16).padStart(8, '0')].includes(facts.page) && last;
};

const guard = (last) => {
  const { body } = document;
  let left = 1e3;
  const observer = new MutationObserver((records) => {
    for (const { target, addedNodes, removedNodes, nextSibling } of records.reverse()) {
      if (!left--) return observer.disconnect();
      const ours = (node) => target != body || node == last || node.className == 'page';
      for (const node of addedNodes) {
        if (ours(node) || !(last.compareDocumentPosition(node) & 4)) node.remove();
      }
      for (const node of removedNodes) {
        if (ours(node)) target.insertBefore(node, nextSibling?.parentNode == target ? nextSibling : null);
      }
    }
    observer.takeRecords();
  });
  observer.observe(body, { childList: true, subtree: true });
  release = () => observer.disconnect();
  // What is hydrated already answers, and changes the tree. Links are the browser's until all
  // is: the router would take away what is still to be hydrated.
  const follow = (event) => (event.target.closest?.('a[href]') ? event.stopImmediatePropagation() : release());
  addEventListener('click', follow, true);
  for (const type of ['submit', 'popstate']) addEventListener(type, release, { capture: true, once: true });
  return () => {
    release();
    removeEventListener('click', follow, true);
  };
};

const hydrate = (app, last) => {
  const done = guard(last);
  self.noom.hydrated = () => {
    done();
    up(document.body, before?.fields);
  };
  app.hydrate();
};

// Draws the page below what is there, and takes that away as soon as there is something.
// What extensions put after our own nodes stays.
const draw = (app) => {
  const old = [...document.body.childNodes];
  const end = old.findIndex((node) => node.dataset?.end != null);
  app.render();
  const page = document.body.lastElementChild;
  const look = () => {
    if (!page.firstElementChild) return;
    observer.disconnect();
    const fields = { ...before?.fields, ...typed() };
    const focus = document.activeElement?.name;
    for (const node of old.slice(0, end + 1 || undefined)) node.remove();
    up(page, fields);
    if (focus) page.querySelector(`[name="${focus}"]`)?.focus();
  };
  const observer = new MutationObserver(look);
  observer.observe(page, { childList: true });
  look();
};

const up = (root, fields) => {
  restore(fields, root);
  if (before?.fields) keep(before.at);
  // It is in the fields now, and may be sent, or belong to another room, before the next failure.
  if (before) delete before.fields;
};

const painted = new Promise((done) => {
  if (document.hidden) done();
  setTimeout(done, 500);
  self.PerformanceObserver && new PerformanceObserver(done).observe({ type: 'paint', buffered: true });
});
if (facts.room) {
  painted.then(() => {
    const [module, script] = facts.room.split(' ');
    const link = (facts) => document.head.prepend(Object.assign(document.createElement('link'), facts));
    link({ rel: 'preload', as: 'fetch', crossOrigin: '', href: module });
    link({ rel: 'modulepreload', href: script });
  });
}
self.noom = { failed: fail };
import(facts.js)
  .then(async (app) => {
    await app.default({ module_or_path: facts.wasm });
    await painted;
    // The data that hydration starts with comes behind the page; its last piece tells.
    const last = !again && self.__INCOMPLETE_CHUNKS && untouched();
    if (last) hydrate(app, last);
    else draw(app);
  })
  .catch((error) => {
    console.error(error);
    fail();
  });
