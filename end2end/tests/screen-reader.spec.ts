import { expect, test } from '../support/test.ts';
import { Announcements } from '../support/announcements.ts';
import { ProtocolClient } from '../support/protocol_client.ts';

/** A message of ten lines: fifty of them fill many screens, so that only scrolling loads older ones. */
const older = (number: number) => [`older ${number}`, ...Array(9).fill('and more')].join('\n');

test('live regions announce messages of others once, and own and older messages never', async ({ person, name, server }) => {
  // Each sender stays within the burst.
  for (let from = 1; from <= 120; from += 30) {
    const writer = await ProtocolClient.join(server, name, 'Dan');
    for (let number = from; number < from + 30; number += 1) await writer.sendChat(older(number));
    writer.close();
  }
  const wire = await ProtocolClient.join(server, name, 'Ben');
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const announcements = await Announcements.listen(ann.page);

  await wire.sendChat('hello from Ben');
  await expect.poll(() => announcements.all()).toEqual(['Ben: hello from Ben']);

  await ann.room.says('my own words');
  await ann.room.sees('my own words');
  const first = ann.room.said(older(1).replaceAll('\n', ' '));
  await expect(first).toHaveCount(0);
  await expect(async () => {
    await ann.room.log.evaluate((log) => log.scrollBy({ top: -4_000, behavior: 'instant' }));
    expect(await first.count()).toBe(1);
  }).toPass();

  const cem = await ProtocolClient.join(server, name, 'Cem');
  await cem.sendChat('hello from Cem');
  const all = ['Ben: hello from Ben', 'Cem joined', 'Cem: hello from Cem'];
  await expect.poll(() => announcements.all()).toEqual(all);
  cem.close();
  wire.close();
});

test('many messages at once are announced as a count', async ({ person, name, server }) => {
  const wire = await ProtocolClient.join(server, name, 'Ben');
  await wire.sendChat('before');
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const announcements = await Announcements.listen(ann.page);
  for (let number = 1; number <= 12; number += 1) wire.send({ type: 'chat', id: crypto.randomUUID(), text: `quick ${number}` });
  await ann.room.sees('quick 12');
  await expect.poll(async () => (await announcements.all()).length).toBeGreaterThan(0);
  const said = await announcements.all();
  expect(said.length, 'not every message is announced').toBeLessThan(12);
  expect(said.join(' ')).toMatch(/\d+ new messages/);
  wire.close();
});

test('control: a log that is itself a live region would announce every row', async ({ person, name, server }) => {
  const wire = await ProtocolClient.join(server, name, 'Ben');
  const ann = await person('Ann');
  await ann.entersRoom(name);
  await ann.room.log.evaluate((log) => log.removeAttribute('aria-live'));
  const announcements = await Announcements.listen(ann.page);
  await ann.room.says('my own words');
  await wire.sendChat('hello from Ben');
  await expect.poll(async () => (await announcements.all()).join(' ')).toMatch(/my own words.*hello from Ben.*Ben: hello from Ben/);
  wire.close();
});
