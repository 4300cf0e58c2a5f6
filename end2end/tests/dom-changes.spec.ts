import { expect, test, type Person } from '../support/test.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** Wraps every present and future text node in `font` elements, as Chrome's translator does. */
async function translates(somebody: Person): Promise<void> {
  await somebody.page.evaluate(() => {
    const page = document.querySelector('.page')!;
    const translate = () => {
      observer.disconnect();
      const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
      const found: Text[] = [];
      while (walker.nextNode()) found.push(walker.currentNode as Text);
      for (const text of found) {
        const parent = text.parentElement!;
        if (parent.localName === 'font' || parent.closest('textarea, [translate=no]') || !text.data.trim()) continue;
        const [outer, inner] = [document.createElement('font'), document.createElement('font')];
        inner.textContent = text.data;
        outer.append(inner);
        text.replaceWith(outer);
      }
      observer.observe(page, { childList: true, subtree: true, characterData: true });
    };
    const observer = new MutationObserver(translate);
    translate();
  });
}

/** Uses the room: chat, join, rename, scroll, change the language. */
async function usesRoom(ann: Person, ben: ProtocolClient, others: () => Promise<ProtocolClient>): Promise<void> {
  await ben.sendChat('hello from Ben');
  await ann.room.sees('hello from Ben');
  await ann.room.says('hello from Ann');
  await ben.next((frame) => frame.type === 'chat' && frame.text === 'hello from Ann');
  const cem = await others();
  await expect(ann.room.person('Cem')).toBeVisible();
  await cem.rename('Cemal');
  await expect(ann.room.person('Cemal')).toBeVisible();
  cem.close();
  await ben.rename('Benjamin');
  await expect(ann.room.person('Benjamin')).toBeVisible();
  for (let i = 0; i < 30; i += 1) await ben.sendChat(`line ${i}`);
  await ann.room.sees('line 29');
  await ann.room.log.evaluate((log) => log.scrollTo(0, 0));
  await ann.page.getByRole('link', { name: /한국어/ }).first().click();
  await expect(ann.page.locator('html')).toHaveAttribute('lang', 'ko');
  await ann.page.getByRole('link', { name: /English/ }).first().click();
  await expect(ann.page.locator('html')).toHaveAttribute('lang', 'en');
  await ann.page.locator('textarea[name=text]').fill('still here');
  await ann.page.locator('textarea[name=text]').press('Enter');
  await ben.next((frame) => frame.type === 'chat' && frame.text === 'still here');
}

test('a translated room keeps working', async ({ person, name, server }) => {
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('one');
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await translates(ann);
  await usesRoom(ann, ben, () => ProtocolClient.join(server, name, 'Cem'));
  await ann.page.goto('/');
  await translates(ann);
  await ann.welcome.enters(name, 'Ann');
  await expect(ann.room.message).toBeVisible();
  ben.close();
});

for (const [what, disturb] of [
  ['comments removed', () => {
    const walker = document.createTreeWalker(document.querySelector('.page')!, NodeFilter.SHOW_COMMENT);
    const found: Comment[] = [];
    while (walker.nextNode()) found.push(walker.currentNode as Comment);
    for (const comment of found) comment.remove();
  }],
  ['rows removed', () => document.querySelectorAll('.chat__log li').forEach((row) => row.remove())],
  ['the log emptied', () => document.querySelector('.chat__log')!.replaceChildren()],
  ['rows reordered', () => document.querySelectorAll('.chat__log li').forEach((row) => row.parentElement!.prepend(row))],
  ['nodes inserted', () => document.querySelectorAll('.page *').forEach((node) => node.after(document.createElement('x-foreign')))],
  ['everything wrapped', () => document.querySelectorAll('.chat *, .people *').forEach((node) => {
    const wrap = document.createElement('font');
    node.replaceWith(wrap);
    wrap.append(node);
  })],
  ['the list of people emptied', () => document.querySelector('.people')!.replaceChildren()],
] as const) {
  test(`DOM changes by other scripts do not end the conversation: ${what}`, async ({ person, name, server, pageErrors }) => {
    pageErrors.expects(/panicked at|unreachable|RuntimeError|NotFoundError/);
    const ben = await ProtocolClient.join(server, name, 'Ben');
    await ben.sendChat('one');
    await ben.sendChat('two');
    const ann = await person('Ann');
    await ann.entersRoom(name);
    let reloads = 0;
    ann.page.on('request', (request) => { if (request.isNavigationRequest()) reloads += 1; });
    await ann.page.evaluate(disturb);
    await ben.sendChat('three');
    await ben.rename('Benno');
    const cem = await ProtocolClient.join(server, name, 'Cem');
    await ben.sendChat('four');
    cem.close();
    // Either the page kept working, or it reloaded once.
    await expect(async () => {
      await ann.room.message.fill('still here', { timeout: 1000 });
      await ann.room.message.press('Enter', { timeout: 1000 });
      await ben.next((frame) => frame.type === 'chat' && frame.text === 'still here', 2000);
    }).toPass({ timeout: 15_000 });
    console.log(`${what}: ${reloads} reloads`);
    expect(reloads).toBeLessThanOrEqual(1);
    ben.close();
  });
}
