import { expect, test } from '../support/test.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** Breaks the DOM functions of the program, so that its next rendering panics. */
const breakRendering = () => {
  document.createElement = () => {
    throw new TypeError('not today');
  };
  Node.prototype.cloneNode = document.createElement as never;
};

test('a page that panics reloads once and keeps the typed text', async ({ person, name, server, pageErrors }) => {
  pageErrors.expects(/panicked at|unreachable|RuntimeError|not today|recursive|closure/);
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await ann.room.message.fill('half a sentence');
  let loads = 0;
  ann.page.on('request', (request) => { if (request.isNavigationRequest()) loads += 1; });
  await ann.page.evaluate(breakRendering);
  await ben.sendChat('the last straw');
  await ann.room.sees('the last straw');
  await ann.room.expectLive();
  await expect(ann.room.message).toHaveValue('half a sentence');
  expect(loads).toBe(1);
  await ann.room.message.press('Enter');
  await ben.next((frame) => frame.type === 'chat' && frame.text === 'half a sentence');
  // A sent message does not return to the field with the next load.
  await ann.page.reload();
  await ann.room.expectLive();
  await expect(ann.room.message).toHaveValue('');
  // A second panic within a few minutes leads to the page without script.
  await ann.page.evaluate(breakRendering);
  await ben.sendChat('once more');
  await expect(ann.page.getByRole('alert').getByRole('link', { name: 'Try again' })).toBeVisible();
  await expect(ann.room.log).toContainText('once more');
  ben.close();
});

test('a message sent after a reload does not return to the field, in this room or in another', async ({ person, name, server, pageErrors }) => {
  pageErrors.expects(/panicked at|unreachable|RuntimeError|not today|recursive|closure/);
  const other = `${name} other`;
  const ben = await ProtocolClient.join(server, name, 'Ben');
  const cem = await ProtocolClient.join(server, other, 'Cem');
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await ann.room.message.fill('a secret of this room');
  await ann.page.evaluate(breakRendering);
  await ben.sendChat('the last straw');
  await ann.room.sees('the last straw');
  await expect(ann.room.message).toHaveValue('a secret of this room');
  await ann.room.message.press('Enter');
  await ben.next((frame) => frame.type === 'chat' && frame.text === 'a secret of this room');
  // Another room by client-side navigation.
  await ann.room.leave.click();
  await ann.welcome.enters(other, 'Ann');
  await ann.room.expectLive();
  await ann.page.evaluate(breakRendering);
  await cem.sendChat('once more');
  await expect(ann.page.getByRole('alert').getByRole('link', { name: 'Try again' })).toBeVisible();
  await expect(ann.room.log).toContainText('once more');
  await expect(ann.room.message).toHaveValue('');
  ben.close();
  cem.close();
});

test('a call continues after the page has panicked and reloaded', async ({ person, name, server, pageErrors }) => {
  pageErrors.expects(/panicked at|unreachable|RuntimeError|not today|recursive|closure/);
  const ann = await person('Ann');
  await ann.entersCall(name);
  const ben = await ProtocolClient.join(server, name, 'Ben');
  await ann.page.evaluate(breakRendering);
  const anew = ann.page.waitForEvent('load');
  await ben.sendChat('the last straw');
  await anew;
  await ann.call.expectTiles(1);
  await expect(ann.call.controls).toBeVisible();
  ben.close();
});
