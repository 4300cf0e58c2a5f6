import { AxeBuilder } from '@axe-core/playwright';
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { expect, test, type Person } from '../support/test.ts';
import { filled, read } from '../pages/moderation.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** The settings of the chat on the page of one person. */
class ChatSettings {
  readonly words;

  constructor(private readonly person: Person) {
    this.words = read(person.locale, 'chat');
  }

  get dialog() {
    return this.person.page.getByRole('dialog', { name: this.words.settings, exact: true });
  }

  get button() {
    return this.person.page.getByRole('button', { name: this.words.settings, exact: true });
  }

  control(key: string) {
    return this.dialog.getByRole('switch', { name: this.words[key], exact: true });
  }

  async open(): Promise<void> {
    await this.button.click();
    await expect(this.dialog).toBeVisible();
  }

  async close(): Promise<void> {
    await this.person.page.keyboard.press('Escape');
    await expect(this.dialog).toBeHidden();
    await expect(this.button).toBeFocused();
  }

  /** Switches these on. */
  async switchesOn(...keys: string[]): Promise<void> {
    await this.open();
    for (const key of keys) {
      await this.control(key).click();
      await expect(this.control(key)).toBeChecked();
    }
    await this.close();
  }
}

type Shown = { title: string; body: string; tag: string; closed: boolean };

/** Records notifications and sounds, in place of a desktop and a loudspeaker. */
async function observe(page: Page, permission: NotificationPermission, answer: NotificationPermission): Promise<void> {
  await page.addInitScript(([permission, answer]) => {
    const seen = ((window as any).__alerts = { shown: [] as any[], sounds: 0, asked: 0 });
    window.Notification = class extends EventTarget {
      // The browser keeps the answer.
      static permission = sessionStorage.getItem('permission') ?? permission;
      static async requestPermission() {
        seen.asked += 1;
        sessionStorage.setItem('permission', answer);
        return (this.permission = answer);
      }
      closed = false;
      constructor(readonly title: string, options: NotificationOptions) {
        super();
        Object.assign(this, { body: options.body, tag: options.tag });
        seen.shown.push(this);
      }
      close() {
        this.closed = true;
      }
    } as any;
    const Native = AudioContext;
    window.AudioContext = class extends Native {
      constructor(options?: AudioContextOptions) {
        super(options);
        seen.sounds += 1;
      }
    };
  }, [permission, answer] as const);
}

const shown = (page: Page): Promise<Shown[]> =>
  page.evaluate(() => (window as any).__alerts.shown.map(({ title, body, tag, closed }: Shown) => ({ title, body, tag, closed })));
const sounds = (page: Page): Promise<number> => page.evaluate(() => (window as any).__alerts.sounds);

/** Hides the page, or shows it again. */
async function hide(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

async function expectNoViolations(somebody: Person, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page: somebody.page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

test('a hidden page shows one notification for its room, and the log and the title say the same', async ({ person, name, server }) => {
  const ann = await person('Ann');
  await observe(ann.page, 'default', 'granted');
  await ann.entersRoom(name);
  const settings = new ChatSettings(ann);
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('before anything is on');
  await ann.room.sees('before anything is on');
  expect(await ann.page.evaluate(() => (window as any).__alerts.asked)).toBe(0);
  await settings.switchesOn('notify');
  expect(await ann.page.evaluate(() => (window as any).__alerts.asked)).toBe(1);
  // The first one shows what they look like.
  expect((await shown(ann.page)).map(({ title, body }) => [title, body])).toEqual([[name, settings.words.notify_sample]]);

  await ben.sendChat('seen at once');
  await ann.room.sees('seen at once');
  await hide(ann.page, true);
  await ben.sendChat('**회의** is at `two`');
  await expect.poll(async () => (await shown(ann.page)).length).toBe(2);
  const [sample, last] = await shown(ann.page);
  expect(last).toMatchObject({ title: `Ben · ${name}`, body: '회의 is at two', tag: sample!.tag, closed: false });
  expect(sample!.closed).toBe(true);
  await expect(ann.page).toHaveTitle(/^\(1\) /);
  await ann.room.sees('seen at once');
  await expect(ann.room.log).toContainText('회의 is at two');
  expect(await sounds(ann.page)).toBe(0);
  await hide(ann.page, false);
  expect((await shown(ann.page))[1]!.closed).toBe(true);

  // The device keeps the choice, and history makes no notification.
  await ann.page.reload();
  await ann.room.expectLive();
  await settings.open();
  await expect(settings.control('notify')).toBeChecked();
  await settings.control('notify').click();
  await expect(settings.control('notify')).not.toBeChecked();
  await settings.close();
  await hide(ann.page, true);
  await ben.sendChat('after it is off');
  await ann.room.sees('after it is off');
  expect(await shown(ann.page)).toEqual([]);
  ben.close();
});

for (const locale of ['en', 'ko'] as const) {
  test(`the dialog says why a browser shows no notifications, and works by keyboard: ${locale}`, async ({ person, name }) => {
    const ann = await person('Ann', { locale, context: { colorScheme: locale === 'ko' ? 'dark' : 'light' } });
    await observe(ann.page, 'default', 'denied');
    await ann.entersRoom(name);
    const settings = new ChatSettings(ann);
    await settings.button.focus();
    await ann.page.keyboard.press('Enter');
    await expect(settings.control('notify')).toBeFocused();
    await ann.page.screenshot({ path: test.info().outputPath('dialog.png') });
    await ann.page.keyboard.press('Space');
    await expect(settings.dialog.getByText(settings.words.notify_denied)).toBeVisible();
    await expect(settings.control('notify')).not.toBeChecked();
    for (const key of ['sound', 'only_for_me']) {
      await ann.page.keyboard.press('Tab');
      await expect(settings.control(key)).toBeFocused();
    }
    await expectNoViolations(ann, 'chat settings, denied');
    const desktop = ann.page.viewportSize()!;
    await ann.page.setViewportSize({ width: 360, height: 640 });
    expect(await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await expectNoViolations(ann, 'chat settings on a phone');
    await ann.page.screenshot({ path: test.info().outputPath('dialog-phone.png') });
    await ann.page.setViewportSize(desktop);
    await settings.close();

    // The command of the composer opens the same dialog, and the focus returns to the composer.
    await ann.room.message.fill(`/${read(locale, 'slash').settings}`);
    await ann.room.message.press('Enter');
    await expect(settings.dialog).toBeVisible();
    await expect(settings.dialog.getByText(settings.words.notify_denied)).toBeVisible();
    await ann.page.keyboard.press('Escape');
    await expect(ann.room.message).toBeFocused();
    await expect(ann.room.message).toHaveValue('');
  });
}

test('a sound is played once a second while the page is hidden, and never for own messages', async ({ person, name, server }) => {
  const ann = await person('Ann');
  await observe(ann.page, 'default', 'default');
  await ann.entersRoom(name);
  const settings = new ChatSettings(ann);
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ben.sendChat('silent');
  await ann.room.sees('silent');
  expect(await sounds(ann.page)).toBe(0);
  await settings.switchesOn('sound');
  // The switch plays what it switches on.
  expect(await sounds(ann.page)).toBe(1);
  await hide(ann.page, true);
  await ann.room.says('mine');
  await ann.room.sees('mine');
  expect(await sounds(ann.page)).toBe(1);
  for (let n = 0; n < 5; n += 1) ben.send({ type: 'chat', id: crypto.randomUUID(), text: `quick ${n}` });
  await ann.room.sees('quick 4');
  expect(await sounds(ann.page)).toBe(2);
  await expect(ann.page).toHaveTitle(/^\(5\) /);
  expect(await shown(ann.page)).toEqual([]);
  ben.close();
});

test('a person chooses to be notified of replies only', async ({ person, name, server }) => {
  const ann = await person('Ann');
  await observe(ann.page, 'granted', 'granted');
  await ann.entersRoom(name);
  await new ChatSettings(ann).switchesOn('notify', 'only_for_me');
  await ann.room.says('who brings the cake?');
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const asked = ben.messages.find(({ type }) => type === 'joined')!.history.at(-1);
  await hide(ann.page, true);
  await ben.sendChat('to nobody');
  await ann.room.sees('to nobody');
  const id = crypto.randomUUID();
  ben.send({ type: 'chat', id, text: 'I bring it', reply_to: asked.id });
  await expect.poll(async () => (await shown(ann.page)).map(({ body }) => body).slice(1)).toEqual(['I bring it']);
  ben.close();
});

test('people save what was said as JSON and as Markdown, and read why they cannot', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(/status of 429/);
  const server = await startServer({ env: { NOOM_TRUSTED_PROXIES: '127.0.0.1', NOOM_ADDRESS_RATES: 'exports=1/2' } });
  const ann = await person('Ann', { server, context: { extraHTTPHeaders: { 'x-forwarded-for': '203.0.113.5' } } });
  await ann.entersRoom(name);
  await ann.room.says('# not a *heading*');
  await ann.room.says('한글도 저장해요');
  await ann.room.sees('한글도 저장해요');
  const settings = new ChatSettings(ann);
  await settings.open();
  const button = (key: string) => settings.dialog.getByRole('button', { name: settings.words[key], exact: true });
  const saved = async (key: string) => {
    const download = ann.page.waitForEvent('download');
    await button(key).click();
    const file = await download;
    await expect(settings.dialog.getByRole('status').filter({ hasText: settings.words.export_saved })).toBeVisible();
    return { name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8') };
  };
  const json = await saved('export_json');
  expect(json.name).toBe(`${name}.json`);
  const log = JSON.parse(json.text);
  expect(log.room).toBe(name);
  expect(log.messages.map(({ text }: { text: string }) => text)).toEqual(['# not a *heading*', '한글도 저장해요']);
  const markdown = await saved('export_markdown');
  expect(markdown.name).toBe(`${name}.md`);
  expect(markdown.text).toContain('\\# not a \\*heading\\*');
  expect(markdown.text).toContain('한글도 저장해요');

  await button('export_json').click();
  await expect(settings.dialog.getByRole('alert').filter({ hasText: /Not saved: too many/ })).toBeVisible();
  await expectNoViolations(ann, 'chat settings, an export refused');
  expect(filled(settings.words.export_too_many, { count: '2' })).toContain('in 2 minutes');
});
