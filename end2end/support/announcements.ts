import type { CDPSession, Page } from '@playwright/test';

/** What the browser's accessibility tree says of a node. */
interface AxNode {
  backendDOMNodeId?: number;
  ignored: boolean;
  properties?: { name: string; value: { value?: unknown } }[];
}

/**
 * The announcements of a screen reader, in order: the text that enters live regions.
 *
 * The browser's accessibility tree says which nodes are live: it combines roles and attributes (a
 * log is live by default).
 */
export class Announcements {
  private constructor(private readonly page: Page) {}

  static async listen(page: Page): Promise<Announcements> {
    await page.evaluate(() => {
      window.__announcements = [];
      window.__observe = (root: Element) => {
        const announce = (node: Node) => {
          const text = node.textContent?.replace(/\s+/g, ' ').trim();
          if (text) window.__announcements.push(text);
        };
        new MutationObserver((changes) => {
          for (const { type, target, addedNodes } of changes) {
            if (type === 'characterData') announce(target);
            else addedNodes.forEach(announce);
          }
        }).observe(root, { childList: true, characterData: true, subtree: true });
      };
    });
    const session = await page.context().newCDPSession(page);
    for (const root of await liveRoots(session)) await observe(session, root);
    await session.detach();
    return new Announcements(page);
  }

  /** All announcements so far. */
  all(): Promise<string[]> {
    return this.page.evaluate(() => window.__announcements);
  }
}

declare global {
  interface Window {
    __announcements: string[];
    __observe: (root: Element) => void;
  }
}

/** The live nodes of the accessibility tree. */
async function liveRoots(session: CDPSession): Promise<number[]> {
  await session.send('Accessibility.enable');
  const { nodes } = (await session.send('Accessibility.getFullAXTree')) as { nodes: AxNode[] };
  const isLive = ({ properties = [] }: AxNode) =>
    properties.some(({ name, value }) => name === 'live' && (value.value === 'polite' || value.value === 'assertive'));
  return nodes.filter(isLive).flatMap(({ backendDOMNodeId }) => backendDOMNodeId ?? []);
}

/** Observes a node from now on. */
async function observe(session: CDPSession, backendNodeId: number): Promise<void> {
  const { object } = await session.send('DOM.resolveNode', { backendNodeId });
  await session.send('Runtime.callFunctionOn', {
    objectId: object.objectId,
    functionDeclaration: 'function () { if (this instanceof Element) window.__observe(this); }',
  });
}
