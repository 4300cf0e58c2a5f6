import { expect, test } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';

test('a killed server loses no message: typed text stays, and a pending message is sent once', async ({
  person, name, pageErrors, startServer,
}) => {
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const [ann, ben] = [await person('Ann', { server }), await person('Ben', { server })];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.room.says('before');
  await ben.room.sees('before');

  await server.kill();
  await expect(ann.room.banner).toBeVisible();
  await ann.room.says('sent while offline');
  await expect(pending(ann.room.said('sent while offline'))).toHaveCount(1);
  await ann.room.message.fill('half a sent');

  await server.run();
  await expect(ann.room.banner).toBeHidden({ timeout: 30_000 });
  await ben.room.sees('sent while offline');
  await expect(pending(ann.room.said('sent while offline'))).toHaveCount(0);
  await expect(ann.room.message).toHaveValue('half a sent');

  // Both chat again, and no message is duplicated.
  await ann.room.says('after');
  await ben.room.sees('after');
  await ben.room.says('welcome back');
  await ann.room.sees('welcome back');
  for (const somebody of [ann, ben]) {
    for (const text of ['before', 'sent while offline', 'after', 'welcome back']) {
      await expect(somebody.room.said(text)).toHaveCount(1);
    }
    await somebody.room.expectPeople(2);
  }
});

test('the banner appears after three seconds of disconnection', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const ann = await person('Ann', { server });
  await ann.entersRoom(name);
  await server.kill();
  const down = Date.now();
  await expect(ann.room.banner).toBeVisible();
  const after = Date.now() - down;
  expect(after).toBeGreaterThan(2_500);
  await expect(ann.page.getByRole('button', { name: /retry now|try now/i })).toBeVisible();
});

test('the page reconnects at once when the network returns', async ({ person, name, pageErrors }) => {
  pageErrors.expects(CONNECTION_LOST);
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.context.setOffline(true);
  // Chromium keeps an open socket when it goes offline: the `offline` event or silence is noticed.
  await expect(ann.room.banner).toBeVisible({ timeout: 30_000 });
  await ann.context.setOffline(false);
  await expect(ann.room.banner).toBeHidden();
  await ann.room.says('here again');
  await ben.room.sees('here again');
  await expect(ben.room.said('here again')).toHaveCount(1);
});

/** The entry, if it is marked as pending. */
function pending(said: import('@playwright/test').Locator) {
  return said.and(said.page().locator('[aria-busy="true"], [data-state="pending"], .pending'));
}
