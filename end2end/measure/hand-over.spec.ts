import { expect, test } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';
import { Moderation } from '../pages/moderation.ts';

// Not among the tests: five minutes without a host take five minutes.
test('a co-host acts as host after five minutes without one, also when the server was killed meanwhile', async ({
  person, name, pageErrors, startServer,
}) => {
  test.setTimeout(600_000);
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const ann = await person('Ann', { server });
  const ben = await person('Ben', { server, locale: 'ko' });
  const cleo = await person('Cleo', { server });
  for (const somebody of [ann, ben, cleo]) await somebody.entersRoom(name);
  await new Moderation(ann).does('Ben', 'make_co_host');
  await new Moderation(ben).expectRole('Ben', 'co_host');
  await ann.page.close();
  await expect(cleo.page.getByText(/^No host is here\. Ben acts as host from/)).toBeVisible({ timeout: 60_000 });
  await server.kill();
  await server.run();
  await expect(cleo.page.getByText(/^No host is here\. Ben acts as host from/)).toBeVisible({ timeout: 60_000 });
  await expect(cleo.page.getByText('No host is here. Ben acts as host.')).toBeVisible({ timeout: 330_000 });
  await expect(ben.page.getByText(/진행자/).filter({ hasText: /대신|맡/ }).first()).toBeVisible();
  await ben.page.screenshot({ path: 'test-results/hand-over.png' });
  await new Moderation(ben).sendsAway('Cleo', 'remove');
  await expect(cleo.page.getByText('Ben took you out of this room.')).toBeVisible();
});
