import { expect, test, type Person } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { expectFlow } from '../support/rtc.ts';
import { LABELS } from '../support/labels.ts';

const html = (somebody: Person) => somebody.page.locator('html');
const switchTo = (somebody: Person, language: RegExp) =>
  somebody.page.getByRole('link', { name: language }).or(somebody.page.getByRole('button', { name: language })).first();

test('a Korean browser gets Korean pages, notices and calls', async ({ person, name }) => {
  const people = [await person('민지', { locale: 'ko' }), await person('하준', { locale: 'ko' })];
  const [minji, hajun] = people;
  for (const somebody of people) {
    await somebody.welcome.open();
    await expect(html(somebody)).toHaveAttribute('lang', 'ko');
    await somebody.welcome.enters(name, somebody.name);
    await expect(somebody.room.heading).toContainText(name);
  }
  await minji.room.expectPeople(2);
  await expect(minji.page.getByText(LABELS.ko.count(2)).first()).toBeVisible();
  await expect(minji.room.log).toContainText(/하준.*(들어|입장|참여)/);
  await minji.room.says('안녕하세요');
  await hajun.room.sees('안녕하세요');
  for (const somebody of people) {
    await expect(somebody.room.message).toBeVisible();
    await somebody.room.joinCall.click();
    await somebody.call.expectEntered();
    await expect(html(somebody)).toHaveAttribute('lang', 'ko');
  }
  await minji.call.expectTiles(2);
  await expectFlow(minji.page, 1);
  await expect(minji.call.microphone).toHaveAttribute('aria-pressed', 'true');
  await minji.call.leave.click();
  await hajun.call.expectTiles(1);
});

test('Korean pages contain no English text', async ({ person, name }) => {
  const minji = await person('민지', { locale: 'ko' });
  const english = /\b(nickname|room|join|leave|people|person|message|send|call|settings|camera|microphone|open|today|you|share|screen|retry|search)\b/i;
  const shown = () => minji.page.evaluate(() => {
    const named = [...document.querySelectorAll('[aria-label],[title],[placeholder]')].flatMap((element) =>
      ['aria-label', 'title', 'placeholder'].map((name) => element.getAttribute(name)));
    return [document.body.innerText, ...named].filter(Boolean).join('\n');
  });
  await minji.welcome.open();
  await minji.page.goto(`${roomPath('스터디')}${minji.query}`);
  await minji.room.expectLive();
  expect(await shown()).not.toMatch(english);
  await minji.entersCall('스터디');
  expect((await shown()).replace(/fake_device_\d|Fake \w+ Audio \w+( \d)?|Fake Audio \w+ \d/g, '')).not.toMatch(english);
  await minji.page.goto('/');
  expect(await shown()).not.toMatch(english);
});

test('a person without a nickname is 손님 with a number', async ({ person, name }) => {
  const [guest, minji] = [await person('', { locale: 'ko' }), await person('민지', { locale: 'ko' })];
  await guest.welcome.open();
  await guest.welcome.enters(name);
  await expect(guest.room.heading).toContainText(name);
  await minji.entersRoom(name);
  await expect(minji.room.people).toContainText(/손님 \d{1,4}/);
});

test('the URL selects the language, and a cookie keeps it', async ({ person }) => {
  const ann = await person('Ann');
  await ann.welcome.open();
  await expect(html(ann)).toHaveAttribute('lang', 'en');
  await ann.page.goto('/?lang=ko');
  await expect(html(ann)).toHaveAttribute('lang', 'ko');
  await expect(ann.page.getByRole('textbox', { name: LABELS.ko.roomName })).toBeVisible();
  await ann.page.goto('/');
  await expect(html(ann)).toHaveAttribute('lang', 'ko');
  await ann.page.goto('/?lang=en');
  await expect(ann.welcome.join).toBeVisible();
  await expect(html(ann)).toHaveAttribute('lang', 'en');
});

test('every page has a language switch that stays on the page', async ({ person, name }) => {
  const ann = await person('Ann');
  for (const path of ['/', roomPath(name), `${roomPath(name)}/call`]) {
    await ann.page.goto(`${path}${path === '/' ? '' : ann.query}`);
    await switchTo(ann, /한국어/).click();
    await expect(html(ann)).toHaveAttribute('lang', 'ko');
    expect(new URL(ann.page.url()).pathname).toBe(path);
    await switchTo(ann, /English/).click();
    await expect(html(ann)).toHaveAttribute('lang', 'en');
  }
});
