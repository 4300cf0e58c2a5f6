import { expect, test } from '../support/test.ts';
import { CONNECTION_LOST } from '../support/page_errors.ts';

test('a killed server costs no message: typed text stays, the pending one goes out once', async ({
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
  await ann.room.says('said into the silence');
  await expect(pending(ann.room.said('said into the silence'))).toHaveCount(1);
  await ann.room.message.fill('half a sent');

  await server.run();
  await expect(ann.room.banner).toBeHidden({ timeout: 30_000 });
  await ben.room.sees('said into the silence');
  await expect(pending(ann.room.said('said into the silence'))).toHaveCount(0);
  await expect(ann.room.message).toHaveValue('half a sent');

  // Both talk again, and nothing is there twice.
  await ann.room.says('after');
  await ben.room.sees('after');
  await ben.room.says('welcome back');
  await ann.room.sees('welcome back');
  for (const somebody of [ann, ben]) {
    for (const text of ['before', 'said into the silence', 'after', 'welcome back']) {
      await expect(somebody.room.said(text)).toHaveCount(1);
    }
    await somebody.room.expectPeople(2);
  }
});

test('the banner waits three seconds, so that a short gap disturbs nobody', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(CONNECTION_LOST);
  const server = await startServer();
  const ann = await person('Ann', { server });
  await ann.entersRoom(name);
  await server.kill();
  const down = Date.now();
  await expect(ann.room.banner).toBeVisible();
  const after = Date.now() - down;
  expect(after).toBeGreaterThan(2_500);
  expect(after).toBeLessThan(8_000);
  await expect(ann.page.getByRole('button', { name: /retry now|try now/i })).toBeVisible();
});

test('a network that goes and comes back is taken up at once', async ({ person, name, pageErrors }) => {
  pageErrors.expects(CONNECTION_LOST);
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await ann.context.setOffline(true);
  // An open socket outlives the switch in Chromium, so what notices is the `offline` event or the silence.
  await expect(ann.room.banner).toBeVisible({ timeout: 30_000 });
  await ann.context.setOffline(false);
  await expect(ann.room.banner).toBeHidden();
  await ann.room.says('here again');
  await ben.room.sees('here again');
  await expect(ben.room.said('here again')).toHaveCount(1);
});

/** The entry, if it is marked as not yet sent. */
function pending(said: import('@playwright/test').Locator) {
  return said.and(said.page().locator('[aria-busy="true"], [data-state="pending"], .pending'));
}
