import { expect, test, type Person } from '../support/test.ts';
import {
  allowDevices, descriptions, devicesAsked, everythingFreed, expectFlow, inbound, pathOf, recoveries,
} from '../support/rtc.ts';
import { COLOURS, paintCamera } from '../support/media.ts';
import { Call } from '../pages/call.ts';
import { roomPath } from '../pages/room.ts';
import { LABELS } from '../support/labels.ts';

const MUTED = /muted|microphone off/i;
const CAMERA_OFF = /camera off/i;

type Bring = (nickname: string) => Promise<Person>;

/** Brings people into one call and waits until everybody has a tile for everybody. */
async function call(
  person: Bring, room: string, nicknames: string[], prepare?: (somebody: Person) => Promise<void>,
): Promise<Person[]> {
  const people: Person[] = [];
  for (const nickname of nicknames) {
    const somebody = await person(nickname);
    await prepare?.(somebody);
    await somebody.entersCall(room);
    people.push(somebody);
  }
  for (const somebody of people) await somebody.call.expectTiles(people.length);
  return people;
}

test('two people go from the welcome page to a call, and see and hear each other', async ({ person, name }) => {
  const people = [await person('Ann'), await person('Ben')];
  for (const somebody of people) {
    await somebody.welcome.open();
    await somebody.welcome.enters(name, somebody.name);
    await somebody.room.expectLive();
    await somebody.room.joinCall.click();
    await somebody.call.expectEntered();
    await expect.poll(() => new URL(somebody.page.url()).pathname).toBe(`${roomPath(name)}/call`);
  }
  const [ann, ben] = people;
  await expectFlow(ann.page, 1);
  await expectFlow(ben.page, 1);
  await expect(ann.call.video('Ben')).toBeVisible();
  await expect(ben.call.video('Ann')).toBeVisible();
  await ann.room.says('can you hear me');
  await ben.room.sees('can you hear me');
});

test("the own video is mirrored and muted, other videos are neither", async ({ person, name }) => {
  const [ann] = await call(person, name, ['Ann', 'Ben']);
  await expectFlow(ann.page, 1);
  expect(await ann.call.mirrored('Ann')).toBe(true);
  expect(await ann.call.mirrored('Ben')).toBe(false);
  const silent = (nickname: string) =>
    ann.call.video(nickname).evaluate((video) => (video as HTMLVideoElement).muted);
  expect(await silent('Ann')).toBe(true);
  expect(await silent('Ben')).toBe(false);
});

test('four people all see and hear the other three', async ({ person, name }) => {
  test.setTimeout(180_000);
  // Twelve encoders and as many decoders: small and few pictures, so that two cores keep up.
  const small = ({ name, page }: Person) => paintCamera(page, COLOURS[name], [320, 180], false, 1, 10);
  const people = await call(person, name, ['Ann', 'Ben', 'Cleo', 'Dan'], small);
  for (const somebody of people) await expectFlow(somebody.page, 3);
});

test('a second tab of one browser is another participant', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersCall(name);
  const tab = await ann.context.newPage();
  await new Call(tab, LABELS.en).open(name, '?name=Annex');
  await ann.call.expectTiles(2);
  await expectFlow(ann.page, 1);
  await expectFlow(tab, 1, { audio: false });
});

test('muting and unmuting show to others at once', async ({ person, name }) => {
  const [ann, ben] = await call(person, name, ['Ann', 'Ben']);
  await expectFlow(ben.page, 1);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await ann.call.microphone.click();
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await ben.call.expectSays('Ann', MUTED);
  await expectFlow(ben.page, 1, { audio: false });
  await ann.call.microphone.click();
  await ben.call.expectSaysNot('Ann', MUTED);
  await expectFlow(ben.page, 1);
});

test('a camera that is off leaves a tile without video, and its video returns', async ({ person, name }) => {
  const [ann, ben] = await call(person, name, ['Ann', 'Ben']);
  await expectFlow(ben.page, 1);
  await ann.call.camera.click();
  await expect(ann.call.camera).toHaveAttribute('aria-pressed', 'false');
  await expect(ben.call.video('Ann')).toHaveCount(0);
  await ben.call.expectSays('Ann', CAMERA_OFF);
  await expectFlow(ben.page, 1, { video: false });
  await ann.call.camera.click();
  await expect(ben.call.video('Ann')).toBeVisible();
  await ben.call.expectSaysNot('Ann', CAMERA_OFF);
  await expectFlow(ben.page, 1);
});

test('a late joiner sees who is muted and whose camera is off', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersCall(name, '&audio=0&video=0');
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await expect(ann.call.camera).toHaveAttribute('aria-pressed', 'false');
  const ben = await person('Ben');
  await ben.entersCall(name);
  await ben.call.expectSays('Ann', MUTED);
  await ben.call.expectSays('Ann', CAMERA_OFF);
  await expect(ben.call.video('Ann')).toHaveCount(0);
  await ann.call.camera.click();
  await ann.call.microphone.click();
  await expectFlow(ben.page, 1);
});

test('switching the camera changes the video without renegotiation and leaves the microphone alone', async ({ person, name }) => {
  const [ann, ben] = await call(person, name, ['Ann', 'Ben']);
  await expectFlow(ben.page, 1);
  await expectFlow(ann.page, 1);
  await ann.call.microphone.click();
  await ben.call.expectSays('Ann', MUTED);
  const [red, green] = await ben.call.colour('Ann');
  expect(green).toBeGreaterThan(red + 60);
  const before = { ann: await descriptions(ann.page), ben: await descriptions(ben.page) };
  const asked = (await devicesAsked(ann.page)).length;

  await ann.call.openSettings();
  await ann.call.cameraDevice.selectOption({ label: 'fake_device_1' });
  await ann.call.closeSettings();

  await expect.poll(async () => {
    const [nowRed, nowGreen] = await ben.call.colour('Ann');
    return nowRed > nowGreen + 60;
  }, { message: 'the red wall of the second camera' }).toBe(true);
  await expectFlow(ben.page, 1, { audio: false });
  expect({ ann: await descriptions(ann.page), ben: await descriptions(ben.page) }).toEqual(before);
  const since = (await devicesAsked(ann.page)).slice(asked);
  expect(since.length).toBeGreaterThan(0);
  expect(since.filter(({ audio }) => audio), 'the microphone is not requested').toEqual([]);
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'false');
  await ben.call.expectSays('Ann', MUTED);
});

test('selecting a camera while it is off keeps it off', async ({ person, name }) => {
  const [ann, ben] = await call(person, name, ['Ann', 'Ben']);
  await expectFlow(ben.page, 1);
  await ann.call.camera.click();
  await expect(ben.call.video('Ann')).toHaveCount(0);
  await ann.call.openSettings();
  await ann.call.cameraDevice.selectOption({ label: 'fake_device_1' });
  await ann.call.closeSettings();
  await expect(ann.call.camera).toHaveAttribute('aria-pressed', 'false');
  await expectFlow(ben.page, 1, { video: false });
  await expect(ben.call.video('Ann')).toHaveCount(0);
  await ann.call.camera.click();
  await expectFlow(ben.page, 1);
});

test('leaving removes the tile, closes every connection and releases every device', async ({ person, name }) => {
  const [ann, ben] = await call(person, name, ['Ann', 'Ben']);
  await expectFlow(ann.page, 1);
  await ann.page.evaluate(() => ((window as any).__same = true));
  await ann.call.leave.click();
  await ann.page.waitForURL((url) => url.pathname === roomPath(name));
  await ben.call.expectTiles(1);
  // Without a reload, which would release everything itself.
  expect(await ann.page.evaluate(() => (window as any).__same)).toBe(true);
  await expect.poll(() => everythingFreed(ann.page)).toBe(true);
  await ann.room.expectLive();
  await ann.room.expectPeople(2);

  await ann.room.joinCall.click();
  await ann.call.expectTiles(2);
  await expectFlow(ben.page, 1);
});

/** Cuts the media path between two people and waits for its recovery, which takes working signalling. */
async function expectRecovery(path: Awaited<ReturnType<typeof pathOf>>, pair: [Person, Person]): Promise<void> {
  const made = async () => (await recoveries(pair[0].page)) + (await recoveries(pair[1].page));
  const before = await made();
  await path.cut();
  await expect.poll(made, { message: 'an ICE restart or a new connection', timeout: 45_000 }).toBeGreaterThan(before);
  await path.restore();
  for (const { page } of pair) await expectFlow(page, 1);
}

test('a call survives a server restart, and a path that breaks afterwards recovers while all people stay', async ({
  person, name, pageErrors, startServer,
}) => {
  test.setTimeout(150_000);
  pageErrors.expects(/WebSocket connection to|net::ERR_/);
  const server = await startServer();
  const [ann, ben] = [await person('Ann', { server }), await person('Ben', { server })];
  await ann.page.goto('/');
  const path = await pathOf(ann.page);
  await ann.entersCall(name);
  await ben.entersCall(name);
  await expectFlow(ann.page, 1);
  const connections = await recoveries(ann.page);
  await server.kill();
  await expectFlow(ann.page, 1);
  await expectFlow(ben.page, 1);
  await server.run();
  await ann.room.says('still here');
  await ben.room.sees('still here');
  await ann.call.expectTiles(2);
  await expectFlow(ann.page, 1);
  expect(await recoveries(ann.page), 'the connection is the same one').toBe(connections);
  await ann.call.microphone.click();
  await ben.call.expectSays('Ann', MUTED);
  await ann.call.microphone.click();

  await expectRecovery(path, [ann, ben]);
  for (const somebody of [ann, ben]) await somebody.call.expectTiles(2);
  await expect(ben.room.notice('Ann left')).toHaveCount(0);
});

for (const [error, words] of [
  ['NotAllowedError', /permission|allow|blocked|refused/i],
  ['NotFoundError', /found|no camera|no microphone|plug|connect/i],
  ['NotReadableError', /use|busy|another/i],
] as const) {
  test(`${error} does not prevent joining, is explained, and a retry works without reload`, async ({ person, name }) => {
    const ben = await person('Ben');
    await ben.entersCall(name);
    const ann = await person('Ann', { refusal: { error } });
    await ann.entersCall(name);
    await ben.call.expectTiles(2);
    await ann.call.expectTiles(2);
    const explained = ann.page.getByRole('alert').or(ann.page.getByRole('status')).or(ann.page.getByRole('dialog'));
    await expect(explained.filter({ hasText: words }).first()).toBeVisible();
    await expectFlow(ann.page, 1);

    await ann.page.evaluate(() => ((window as any).__same = true));
    await allowDevices(ann.page);
    await ann.call.retry.first().click();
    await expect(ann.call.camera).toHaveAttribute('aria-pressed', 'true');
    await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
    await expectFlow(ben.page, 1);
    expect(await ann.page.evaluate(() => (window as any).__same)).toBe(true);
  });
}

test('a person without a camera joins with the microphone alone', async ({ person, name }) => {
  const ben = await person('Ben');
  await ben.entersCall(name);
  const ann = await person('Ann', { refusal: { error: 'NotFoundError', videoOnly: true } });
  await ann.entersCall(name);
  await expectFlow(ben.page, 1, { video: false });
  await expect(ann.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await expect(ben.call.video('Ann')).toHaveCount(0);
});

/** Limits a page to the cameras whose label matches `allowed`; `plug` changes that and dispatches `devicechange`. */
const hideCameras = (page: import('@playwright/test').Page, allowed: string) =>
  page.addInitScript((allowed) => {
    const media = navigator.mediaDevices;
    const list = media.enumerateDevices.bind(media);
    (window as any).__cameras = allowed;
    media.enumerateDevices = async () =>
      (await list()).filter(({ kind, label }) => kind !== 'videoinput' || !label || new RegExp((window as any).__cameras).test(label));
  }, allowed);
const plug = (page: import('@playwright/test').Page, allowed: string) =>
  page.evaluate((allowed) => {
    (window as any).__cameras = allowed;
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
  }, allowed);

test('a camera plugged in during the call can be selected, and an unplugged one is replaced', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await hideCameras(ann.page, 'fake_device_0');
  await ann.entersCall(name);
  await ben.entersCall(name);
  await expectFlow(ben.page, 1);
  await ann.call.openSettings();
  await expect(ann.call.cameraDevice.getByRole('option', { name: 'fake_device_1' })).toHaveCount(0);

  await plug(ann.page, 'fake_device_[01]');
  await expect(ann.call.cameraDevice.getByRole('option', { name: 'fake_device_1' })).toHaveCount(1);
  await ann.call.cameraDevice.selectOption({ label: 'fake_device_1' });
  await ann.call.closeSettings();
  const isRed = async () => {
    const [red, green] = await ben.call.colour('Ann');
    return red > green + 60;
  };
  await expect.poll(isRed, { message: 'the red wall of the second camera' }).toBe(true);

  await plug(ann.page, 'fake_device_0');
  await expect(ann.page.getByRole('status').filter({ hasText: /camera was disconnected/i })).toBeVisible();
  await expect.poll(isRed, { message: 'the first camera again' }).toBe(false);
  await expect(ann.call.camera).toHaveAttribute('aria-pressed', 'true');
  await expectFlow(ben.page, 1);
});

test('blocked autoplay shows a notice, and sound plays after a tap', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  await ann.page.addInitScript(() => {
    const play = HTMLMediaElement.prototype.play;
    let allowed = false;
    // The press that enters the call does not count: user activation expires after seconds.
    const press = ({ target }: Event) => (allowed ||= !(target as Element).closest('.prejoin'));
    addEventListener('pointerdown', press, { capture: true });
    HTMLMediaElement.prototype.play = function () {
      if (allowed || this.muted) return play.call(this);
      return Promise.reject(new DOMException('held back', 'NotAllowedError'));
    };
  });
  await ann.entersCall(name);
  await ben.entersCall(name);
  const notice = ann.page.getByText(/blocks the sound/i);
  await expect(notice).toBeVisible();
  await ann.page.mouse.click(5, 5);
  await expect(notice).toBeHidden();
  await expectFlow(ann.page, 1);
});

test('a third person does not interrupt the call of two', async ({ person, name }) => {
  const [ann, ben] = await call(person, name, ['Ann', 'Ben']);
  await expectFlow(ann.page, 1);
  await expectFlow(ben.page, 1);
  const made = { ann: await recoveries(ann.page), descriptions: await descriptions(ann.page) };
  const [first] = await inbound(ann.page);
  const cleo = await person('Cleo');
  await cleo.entersCall(name);
  for (const somebody of [ann, ben, cleo]) {
    await somebody.call.expectTiles(3);
    await expectFlow(somebody.page, 2);
  }
  const [same] = await inbound(ann.page);
  expect(same.frames).toBeGreaterThan(first.frames);
  expect(await recoveries(ann.page), 'one connection more, none replaced').toBe(made.ann + 1);
  await cleo.call.leave.click();
  await ann.call.expectTiles(2);
  await expectFlow(ann.page, 1);
  await expectFlow(ben.page, 1);
});

test('a full call shows an error, and a retry enters after a person has left', async ({ person, name, startServer }) => {
  const server = await startServer({ callCapacity: 2 });
  const [ann, ben, cleo] = [
    await person('Ann', { server }), await person('Ben', { server }), await person('Cleo', { server }),
  ];
  await ann.entersCall(name);
  await ben.entersCall(name);
  await expectFlow(ann.page, 1);
  await cleo.call.visit(name, cleo.query);
  await cleo.call.joinNow.click();
  await expect(cleo.page.getByText(/call is full/i).first()).toBeVisible();
  await ann.call.expectTiles(2);
  await expectFlow(ann.page, 1);
  await ben.call.leave.click();
  await ann.call.expectTiles(1);
  await cleo.call.retry.first().click();
  await cleo.call.expectTiles(2);
  await expectFlow(ann.page, 1);
  await expectFlow(cleo.page, 1);
});

test('one tap switches a phone from the front to the rear camera', async ({ person, name }) => {
  const ben = await person('Ben');
  await ben.entersCall(name);
  const ann = await person('Ann', { context: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } });
  await ann.entersCall(name);
  await expectFlow(ben.page, 1);
  const asked = (await devicesAsked(ann.page)).length;
  const before = await descriptions(ann.page);
  await ann.call.flip.tap();
  await expect.poll(async () => {
    const [red, green] = await ben.call.colour('Ann');
    return red > green + 60;
  }, { message: 'the picture of the other camera' }).toBe(true);
  expect((await devicesAsked(ann.page)).slice(asked).filter(({ audio }) => audio)).toEqual([]);
  expect(await descriptions(ann.page)).toBe(before);
});

test('the settings list every device of this machine', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersCall(name);
  await ann.call.openSettings();
  await expect(ann.call.cameraDevice.getByRole('option')).toContainText(['fake_device_0', 'fake_device_1']);
  await expect(ann.call.dialog.getByRole('combobox', { name: 'Microphone device' })).toBeVisible();
  await expect(ann.call.dialog.getByRole('combobox', { name: 'Speaker device' })).toBeVisible();
});

test('packet loss between two browsers shows as a poor connection', async ({ person, name }) => {
  const [ann, ben] = [await person('Ann'), await person('Ben')];
  // The statistics are faked; the path loses nothing.
  await ann.page.addInitScript(() => {
    if (typeof RTCPeerConnection === 'undefined') return;
    const count = RTCPeerConnection.prototype.getStats;
    let lost = 0;
    RTCPeerConnection.prototype.getStats = async function () {
      lost += 50;
      const reports = [...(await count.call(this))] as [string, any][];
      const worse = reports.map(([id, report]) =>
        [id, report.type === 'inbound-rtp' ? { ...report, packetsLost: lost } : report] as const);
      return new Map(worse) as unknown as RTCStatsReport;
    };
  });
  for (const somebody of [ann, ben]) await somebody.entersCall(name);
  await ann.call.expectTiles(2);
  await expect.poll(() => ann.call.words('Ben'), { timeout: 30_000 }).toMatch(/poor/i);
  await ben.call.expectTiles(2);
  await expect.poll(() => ben.call.words('Ann')).not.toMatch(/poor/i);
});
