import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { expect, test, type Person } from '../support/test.ts';
import { roomPath } from '../pages/room.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import { LABELS, type Locale } from '../support/labels.ts';

const SHOTS = fileURLToPath(new URL('../test-results/shots/', import.meta.url));
const WIDTHS: [number, number][] = [[320, 640], [390, 844], [768, 1024], [1280, 800], [1920, 1080]];

const TALK = {
  en: { room: 'design talk', names: ['Ann', 'Ben', 'Cleo', 'Dan'], lines: ['Shall we start?', 'Yes, one minute. The notes are at https://example.org/notes', 'I moved the tiles a little.\nTell me what you think.', 'Lovely!'] },
  ko: { room: '디자인 스터디', names: ['민지', '하준', '서연', '도윤'], lines: ['시작할까요?', '네, 잠깐만요. 회의록은 https://example.org/notes 에 있어요.', '타일 위치를 조금 옮겼어요.\n어떤지 봐 주세요.', '정말 좋아요!'] },
};

for (const colorScheme of ['light', 'dark'] as const) {
  for (const locale of ['en', 'ko'] as Locale[]) {
    test(`pages in ${colorScheme}, ${locale}`, async ({ person, pageErrors, startServer }) => {
      test.setTimeout(600_000);
      pageErrors.expects(/./);
      const { room, names, lines } = TALK[locale];
      const options = { locale, context: { colorScheme, reducedMotion: 'reduce' as const } };

      /** One picture a width, of the page as it stands. */
      const shoot = async (somebody: Person, name: string) => {
        for (const [width, height] of WIDTHS) {
          await somebody.page.setViewportSize({ width, height });
          await somebody.page.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
          await somebody.page.screenshot({ path: join(SHOTS, `${name}-${colorScheme}-${locale}-${width}.png`) });
        }
        await somebody.page.setViewportSize({ width: 1280, height: 800 });
      };

      const server = await startServer({ roomCapacity: 4 });
      const ann = await person(names[0], { server, ...options });
      await ann.welcome.open();
      await shoot(ann, 'welcome-empty');
      await ann.welcome.enters('x'.repeat(65), names[0]);
      await expect(ann.welcome.roomName).toHaveAttribute('aria-invalid', 'true');
      await shoot(ann, 'welcome-refused');
      await ann.page.goto('/nowhere');
      await shoot(ann, 'not-found');
      await ann.entersRoom(room);
      await shoot(ann, 'room-empty');

      const others = await Promise.all(names.slice(1).map((name) => ProtocolClient.join(server, room, name)));
      for (const [i, line] of lines.entries()) {
        if (i === 2) await ann.room.says(line);
        else await others[i % 3].sendChat(line);
      }
      await ann.room.sees(lines[3]);
      await shoot(ann, 'room-talking');

      const eve = await person('Eve', { server, ...options });
      for (const other of ['book club', '스터디', 'standup']) await ProtocolClient.join(server, other, 'Kim');
      await eve.welcome.open();
      await expect(eve.welcome.entry(room)).toContainText(LABELS[locale].count(4));
      await shoot(eve, 'welcome-rooms');
      await eve.page.goto(roomPath(room) + eve.query);
      await expect(eve.page.getByText(LABELS[locale].roomFull).first()).toBeVisible();
      await shoot(eve, 'room-full');
      for (const other of others) other.close();
      await ann.room.expectPeople(1);

      await ann.entersCall(room);
      await shoot(ann, 'call-1');
      for (const [i, name] of names.slice(1).entries()) {
        const somebody = await person(name, { server, ...options });
        await somebody.entersCall(room, i === 2 ? '&video=0&audio=0' : '');
        await ann.call.expectTiles(i + 2);
        if (i === 0) await expect(ann.call.video(name)).toBeVisible();
        if (i === 0 || i === 2) await shoot(ann, `call-${i + 2}`);
      }
      await ann.call.openSettings();
      await shoot(ann, 'call-settings');
    });
  }
}
