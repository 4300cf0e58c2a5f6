import type { BrowserContext, Page } from '@playwright/test';

/** A page that was changed between server and browser. */
export interface Mutation {
  /** The change, for the report. */
  what: string;
  /** The changed page. */
  html: string;
}

/** Changes HTML as extensions, translators and proxies do, selected by a seed. */
export class HtmlMutator {
  private constructor(private readonly page: Page) {}

  static async in(context: BrowserContext): Promise<HtmlMutator> {
    return new HtmlMutator(await context.newPage());
  }

  /** Returns the page of a seed: the first are known problems, the others are random. */
  mutate(html: string, seed: number): Promise<Mutation> {
    return this.page.evaluate(
      ({ html, seed }) => {
        const parsed = new DOMParser().parseFromString(html, 'text/html');
        const { body } = parsed;
        // mulberry32
        let state = seed * 0x9e3779b9 + 1;
        const random = () => {
          state = (state + 0x6d2b79f5) | 0;
          let t = Math.imul(state ^ (state >>> 15), 1 | state);
          t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
          return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
        };
        const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
        const walk = (what: number): Node[] => {
          const found: Node[] = [];
          const walker = parsed.createTreeWalker(body, what);
          while (walker.nextNode()) if (!walker.currentNode.parentElement?.closest('script')) found.push(walker.currentNode);
          return found;
        };
        const nodes = () => walk(NodeFilter.SHOW_ALL).filter((node) => !(node as Element).matches?.('script'));
        const texts = () => walk(NodeFilter.SHOW_TEXT).filter((node) => node.parentElement?.localName !== 'textarea');
        const element = (tag: string, text = '') => Object.assign(parsed.createElement(tag), { textContent: text });
        const name = (node: Node) => `${node.nodeName.toLowerCase()}.${(node as Element).className ?? ''} in ${(node.parentElement as Element)?.className}`;
        const wrap = (node: Node, tag: string) => {
          const outer = element(tag);
          node.parentNode!.replaceChild(outer, node);
          outer.append(node);
        };

        const known: [string, () => void][] = [
          ['nothing', () => {}],
          ['attributes added', () => {
            for (const node of body.querySelectorAll('*')) node.setAttribute('data-darkreader-inline-color', '');
            for (const field of body.querySelectorAll('input, textarea')) field.setAttribute('data-gramm', 'false');
          }],
          ['an element at the end of body', () => body.append(element('grammarly-desktop-integration'))],
          ['an element at the start of body', () => body.prepend(element('div', 'Accessibility menu'))],
          ['all comments stripped', () => { for (const node of walk(NodeFilter.SHOW_COMMENT)) (node as Comment).remove(); }],
          ['white space collapsed', () => { for (const node of texts()) node.textContent = node.textContent!.trim().replace(/\s+/g, ' '); }],
          ['white space between tags', () => { for (const node of body.querySelectorAll('*')) if (!node.closest('script, textarea')) node.after('\n'); }],
          ['every text wrapped', () => {
            for (const node of texts()) {
              wrap(node, 'font');
              wrap(node.parentNode!, 'font');
            }
          }],
          ['e-mail addresses made links', () => {
            for (const node of texts()) {
              const [, before, address, after] = /^(.*?)(\S+@\S+)(.*)$/s.exec(node.textContent!) ?? [];
              if (!address) continue;
              const link = Object.assign(element('a', '[email\u00a0protected]'), { className: '__cf_email__' });
              link.setAttribute('href', '/cdn-cgi/l/email-protection');
              (node as Text).replaceWith(before, link, after);
            }
            const script = element('script');
            script.setAttribute('src', '/cdn-cgi/scripts/email-decode.min.js');
            body.append(script);
          }],
          ['a node beside each field', () => { for (const field of body.querySelectorAll('input, textarea')) field.after(element('lt-highlighter')); }],
          ['a node before each field', () => { for (const field of body.querySelectorAll('input, textarea')) field.before(element('lt-div')); }],
          ['the page wrapped', () => wrap(body.querySelector('.page')!, 'div')],
          ['the page twice', () => body.querySelector('.page')!.after(body.querySelector('.page')!.cloneNode(true))],
          ['the page gone', () => body.querySelector('.page')!.remove()],
          ['scripts of the body gone', () => { for (const script of [...body.querySelectorAll('script')]) script.remove(); }],
          ['the body empty', () => body.replaceChildren()],
        ];
        const drawn: [string, () => string][] = [
          ['inserted', () => {
            const at = pick(nodes());
            const what = pick([element('div', 'x'), element('font'), parsed.createTextNode(' '), parsed.createTextNode('x'), parsed.createComment('x')]);
            at.parentNode!.insertBefore(what, at);
            return `${what.nodeName} before ${name(at)}`;
          }],
          ['appended', () => {
            const at = pick(nodes().filter((node) => node.nodeType === 1)) as Element;
            const what = pick(['div', 'span', 'svg']);
            at.append(element(what));
            return `${what} to ${name(at)}`;
          }],
          ['removed', () => {
            const at = pick(nodes());
            const what = name(at);
            (at as ChildNode).remove();
            return what;
          }],
          ['wrapped', () => {
            const at = pick(nodes());
            const what = name(at);
            wrap(at, pick(['font', 'div', 'span', 'b']));
            return what;
          }],
          ['reordered', () => {
            const at = pick(nodes().filter((node) => node.nextSibling));
            const next = at.nextSibling!;
            at.parentNode!.insertBefore(next, at);
            return `${name(next)} before ${name(at)}`;
          }],
          ['moved', () => {
            const [at, to] = [pick(nodes()), pick(nodes())];
            const what = `${name(at)} to ${name(to)}`;
            if (!at.contains(to)) to.parentNode!.insertBefore(at, to);
            return what;
          }],
          ['unwrapped', () => {
            const at = pick(nodes().filter((node) => node.nodeType === 1)) as Element;
            const what = name(at);
            at.replaceWith(...at.childNodes);
            return what;
          }],
          ['text changed', () => {
            const at = pick(texts());
            at.textContent = pick(['', 'x', `${at.textContent} `, '[translated]']);
            return name(at);
          }],
        ];
        let what: string;
        if (seed < known.length) {
          const [name, action] = known[seed];
          action();
          what = name;
        } else {
          const [name, action] = drawn[seed % drawn.length];
          what = `${name}: ${action()}`;
        }
        return { what, html: `<!DOCTYPE html>${parsed.documentElement.outerHTML}` };
      },
      { html, seed },
    );
  }
}
