import type { CDPSession, Page } from '@playwright/test';

/** What the browser's accessibility tree says of a node. */
interface AxNode {
  backendDOMNodeId?: number;
  ignored: boolean;
  properties?: { name: string; value: { value?: unknown } }[];
}

/**
 * What a screen reader is made to say by itself, in order: the text that comes into live regions.
 *
 * Which nodes are live is asked of the browser's accessibility tree, where roles and attributes
 * have been put together (a log is live unless it says otherwise); of attributes nothing is read.
 */
export class Announcements {
  private constructor(private readonly page: Page) {}

  static async listen(page: Page): Promise<Announcements> {
    await page.evaluate(() => {
      window.__spoken = [];
      window.__hear = (root: Element) => {
        const said = (node: Node) => {
          const text = node.textContent?.replace(/\s+/g, ' ').trim();
          if (text) window.__spoken.push(text);
        };
        new MutationObserver((changes) => {
          for (const { type, target, addedNodes } of changes) {
            if (type === 'characterData') said(target);
            else addedNodes.forEach(said);
          }
        }).observe(root, { childList: true, characterData: true, subtree: true });
      };
    });
    const session = await page.context().newCDPSession(page);
    for (const root of await liveRoots(session)) await hear(session, root);
    await session.detach();
    return new Announcements(page);
  }

  /** All that was said so far. */
  said(): Promise<string[]> {
    return this.page.evaluate(() => window.__spoken);
  }
}

declare global {
  interface Window {
    __spoken: string[];
    __hear: (root: Element) => void;
  }
}

/** The nodes that the accessibility tree holds to be live. */
async function liveRoots(session: CDPSession): Promise<number[]> {
  await session.send('Accessibility.enable');
  const { nodes } = (await session.send('Accessibility.getFullAXTree')) as { nodes: AxNode[] };
  const isLive = ({ properties = [] }: AxNode) =>
    properties.some(({ name, value }) => name === 'live' && (value.value === 'polite' || value.value === 'assertive'));
  return nodes.filter(isLive).flatMap(({ backendDOMNodeId }) => backendDOMNodeId ?? []);
}

/** Hears what comes into a node from now on. */
async function hear(session: CDPSession, backendNodeId: number): Promise<void> {
  const { object } = await session.send('DOM.resolveNode', { backendNodeId });
  await session.send('Runtime.callFunctionOn', {
    objectId: object.objectId,
    functionDeclaration: 'function () { if (this instanceof Element) window.__hear(this); }',
  });
}
