// Starts the page and recovers from its failures. Inlined into every page, so that it runs even
// if no other resource loads; `app.rs` strips comments and indentation.
//
// 1. Compares the DOM with the fingerprint that the server sent (`fingerprint.rs`). If it is
//    equal, the page is hydrated; otherwise (an extension changed it) the page is rendered again.
// 2. During hydration, reverts changes by others: an additional node would give every following
//    node the wrong handlers.
// 3. After a failed load or a panic, at any time: saves typed text, waits until the server
//    answers, and reloads once. After another failure within five minutes, goes to `?plain=1`,
//    the page without script, which explains that. The state over a reload is in
//    `history.state`, which works even if storage is blocked.
const facts = document.querySelector('script[data-page]')?.dataset ?? {};
const before = history.state?.noom;
const recent = () => before && Math.abs(Date.now() - before.at) < 3e5;
const again = recent();
let failed;
// Ends the protection of the DOM during hydration.
let release = () => {};
// Milliseconds. Browsers abort loads when a page is left, which is no failure unless it stays.
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
      if ((await fetch(facts.js, { method: 'HEAD', cache: 'no-store' })).status < 500) return;
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
  // The user may type during the wait.
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

// The last node to hydrate, if the DOM is as the server sent it.
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
  // '????????': the server could not compute the fingerprint.
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
  // Hydrated parts react to input and change the DOM. Until hydration ends, the browser follows
  // links, because the router would remove parts that are not hydrated.
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

// Renders the page below the existing nodes, then removes those. Nodes that extensions appended
// stay.
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
  // The text is restored now; it may be sent, or belong to another room, before the next failure.
  if (before) delete before.fields;
};

const painted = new Promise((done) => {
  if (document.hidden) done();
  setTimeout(done, 500);
  self.PerformanceObserver && new PerformanceObserver(done).observe({ type: 'paint', buffered: true });
});
if (facts.room) {
  painted.then(() => {
    const [script, ...modules] = facts.room.split(' ');
    const link = (facts) => document.head.prepend(Object.assign(document.createElement('link'), facts));
    for (const href of modules) link({ rel: 'preload', as: 'fetch', crossOrigin: '', href });
    link({ rel: 'modulepreload', href: script });
  });
}
self.noom = { failed: fail };
import(facts.js)
  .then(async (app) => {
    await app.default({ module_or_path: facts.wasm });
    await painted;
    // The data for hydration is streamed after the page; the last chunk ends it.
    const last = !again && self.__INCOMPLETE_CHUNKS && untouched();
    if (last) hydrate(app, last);
    else draw(app);
  })
  .catch((error) => {
    console.error(error);
    fail();
  });
