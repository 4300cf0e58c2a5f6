import { expect, test } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { ERROR_STATUS } from '../support/page_errors.ts';
import { LABELS } from '../support/labels.ts';

test('a full room shows an error, and a retry joins after a person has left', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(ERROR_STATUS);
  const server = await startServer({ roomCapacity: 2 });
  const [ann, ben, cleo] = [
    await person('Ann', { server }), await person('Ben', { server }), await person('Cleo', { server }),
  ];
  await ann.entersRoom(name);
  await ben.entersRoom(name);
  await cleo.page.goto(roomPath(name) + cleo.query);
  await expect(cleo.page.getByText(LABELS.en.roomFull).first()).toBeVisible();
  await expect(cleo.call.retry.first()).toBeVisible();

  // Still full: the retry shows the same error.
  await cleo.call.retry.first().click();
  await expect(cleo.page.getByText(LABELS.en.roomFull).first()).toBeVisible();
  await ann.room.says('just us two');
  await ben.room.sees('just us two');

  await ben.room.leave.click();
  await ann.room.expectPeople(1);
  await cleo.call.retry.first().click();
  await cleo.room.expectLive();
  await expect(cleo.page.getByText(LABELS.en.roomFull)).toHaveCount(0);
  await ann.room.expectPeople(2);
});

test('a full room does not affect another room', async ({ person, name, pageErrors, startServer }) => {
  pageErrors.expects(ERROR_STATUS);
  const server = await startServer({ roomCapacity: 1 });
  const [ann, ben] = [await person('Ann', { server }), await person('Ben', { server })];
  await ann.entersRoom(name);
  await ben.page.goto(roomPath(name) + ben.query);
  await expect(ben.page.getByText(LABELS.en.roomFull).first()).toBeVisible();
  await ben.entersRoom(`${name} b`);
});
