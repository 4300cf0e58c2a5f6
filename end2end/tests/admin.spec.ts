import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test } from '../support/test.ts';
import type { Server } from '../support/server.ts';

const PASSWORD = 'a long password';

async function expectNoViolations(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  expect.soft(found, where).toEqual([]);
}

/** The one-time link in the log of a server. */
async function printedLink(server: Server): Promise<string> {
  const link = () => /http:\S+\/admin\/setup\?token=[\w-]+/.exec(server.log)?.[0];
  await expect.poll(link).toBeTruthy();
  return link()!;
}

/** Becomes the operator by the link of the server's log. */
async function becomesOperator(page: Page, server: Server): Promise<void> {
  await page.goto(await printedLink(server));
  await page.locator('#password').fill(PASSWORD);
  await page.locator('#again').fill(PASSWORD);
  await page.locator('main button').click();
  await expect(page.locator('#rooms')).toBeVisible();
}

for (const [colorScheme, lang] of [['light', 'en'], ['dark', 'ko']] as const) {
  test(`axe finds nothing on the operator's pages: ${colorScheme}, ${lang}`, async ({ person, name, browser, startServer }) => {
    const server = await startServer();
    const ann = await person('Ann', { server });
    await ann.entersRoom(name);
    await ann.room.says('hello');
    const context = await browser.newContext({ colorScheme });
    const page = await context.newPage();
    await page.goto(`${server.url}/admin?lang=${lang}`);
    await expect(page.locator('html')).toHaveAttribute('lang', lang);
    await expectNoViolations(page, 'nobody is the operator');
    await page.goto(await printedLink(server));
    await page.locator('#password').fill('short');
    await page.locator('#again').fill('short');
    await page.locator('main button').click();
    await expect(page.getByRole('alert')).toBeVisible();
    await expectNoViolations(page, 'set up, refused');
    await becomesOperator(page, server);
    await page.locator('#backups button').last().click();
    await expect(page.locator('#backups tbody tr')).toHaveCount(1);
    await expectNoViolations(page, 'overview');
    await page.getByRole('link', { name }).click();
    await expect(page.locator('#people')).toContainText('Ann');
    await expectNoViolations(page, 'room');
    await page.goto(`${server.url}/admin/doctor`);
    await expectNoViolations(page, 'checks, before the first run');
    await page.locator('main button').click();
    await expect(page.locator('#checks tbody tr')).not.toHaveCount(0);
    await expectNoViolations(page, 'checks');
    await page.goto(`${server.url}/admin/history?name=${encodeURIComponent(name)}`);
    await expectNoViolations(page, 'a question');
    await context.clearCookies({ name: 'noom_admin' });
    await page.goto(`${server.url}/admin`);
    await expectNoViolations(page, 'sign in');
    await context.close();
  });
}

test('without JavaScript an operator closes a room and deletes its messages', async ({ person, name, browser, startServer }) => {
  const server = await startServer();
  const ann = await person('Ann', { server });
  await ann.entersRoom(name);
  await ann.room.says('soon gone');
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await becomesOperator(page, server);
  await page.getByRole('link', { name }).click();
  await page.getByRole('link', { name: 'Delete all messages' }).click();
  await page.getByRole('button', { name: 'Delete all messages' }).click();
  await expect(page.getByRole('status')).toContainText('All messages of the room are deleted');
  await expect(ann.room.said('soon gone')).toHaveCount(0);
  await page.getByRole('link', { name: 'Back to the overview' }).click();
  await page.getByRole('button', { name: `Close ${name}` }).click();
  await expect(page.getByRole('status')).toContainText('The room is closed');
  await expect(ann.page.getByRole('heading', { name: 'This room was closed' })).toBeVisible();
  await ann.page.getByRole('button', { name: 'Try again' }).click();
  await ann.room.says('open again');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await context.close();
});

test('the tables refresh by themselves, and a removed person reads why', async ({ person, name, browser, startServer }) => {
  const server = await startServer();
  const context = await browser.newContext();
  const page = await context.newPage();
  await becomesOperator(page, server);
  await page.getByLabel('To everybody in every open room').fill('Back at noon');
  const ann = await person('Ann', { server });
  await ann.entersRoom(name);
  await expect(page.locator('#rooms')).toContainText(name);
  await expect(page.getByLabel('To everybody in every open room')).toBeFocused();
  await page.getByRole('button', { name: 'Send announcement' }).click();
  await expect(ann.page.getByText('Announcement: Back at noon')).toBeVisible();
  await page.getByRole('link', { name }).click();
  await page.getByRole('button', { name: 'Remove Ann' }).click();
  await expect(ann.page.getByRole('heading', { name: 'You were removed from this room' })).toBeVisible();
  await context.close();
});

test('without JavaScript an operator runs the checks and reads what mends a fault', async ({ browser, startServer }) => {
  const server = await startServer();
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await becomesOperator(page, server);
  await page.getByRole('link', { name: 'Check ports, addresses, certificate, clock and disk' }).click();
  await page.getByRole('button', { name: 'Run the checks' }).click();
  await expect(page.getByRole('status')).toContainText('The checks were run');
  const found = (check: string) => page.locator('#checks tr').filter({ has: page.getByRole('rowheader', { name: check, exact: true }) });
  await expect(found('Server')).toContainText('The server runs and checked itself');
  await expect(found('Media by UDP')).toContainText('UDP reaches the media server');
  await expect(found('Database')).toContainText('The database is sound');
  await page.getByRole('link', { name: 'Back to the overview' }).click();
  await expect(page.locator('#log')).toContainText('ran the checks');
  await context.close();
});
