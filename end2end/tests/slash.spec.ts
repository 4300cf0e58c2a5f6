import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '../support/test.ts';

test('commands do what the menus do, in either language, and say why they do not', async ({ person, name }) => {
  const ann = await person('Ann');
  await ann.entersRoom(name);
  const ben = await person('Ben', { locale: 'ko' });
  await ben.entersRoom(name);
  const koreanComposer = ben.page.getByRole('textbox', { name: '메시지' });
  const composer = ann.page.getByRole('textbox', { name: 'Message' });

  // A guest is offered no command of hosts.
  await koreanComposer.pressSequentially('/');
  const list = ben.page.getByRole('listbox', { name: '명령' });
  await expect(list.getByRole('option', { name: /^\/닉네임/ })).toBeVisible();
  await expect(list.getByRole('option', { name: /^\/차단/ })).toHaveCount(0);
  expect((await new AxeBuilder({ page: ben.page }).analyze()).violations).toEqual([]);
  await koreanComposer.press('ArrowDown');
  await expect(list.getByRole('option', { selected: true })).toHaveText(/^\/닉네임/);
  await koreanComposer.press('Enter');
  await expect(koreanComposer).toHaveValue('/닉네임 ');
  await koreanComposer.pressSequentially('Ben Kim');
  await koreanComposer.press('Enter');
  await expect(ann.room.people.getByText('Ben Kim')).toBeVisible();
  await expect(koreanComposer).toHaveValue('');
  await koreanComposer.fill('/ban Ann');
  await koreanComposer.press('Enter');
  await expect(ben.page.getByRole('alert').filter({ hasText: '공동 진행자' })).toBeVisible();

  const does = async (command: string) => {
    await composer.fill(command);
    await composer.press('Enter');
  };
  await does('/role Ben Kim co-host');
  await expect(ann.room.people.getByText('Co-host')).toBeVisible();
  await does('/dance');
  await expect(ann.page.getByRole('alert').filter({ hasText: 'There is no command /dance' })).toBeVisible();
  await expect(composer).toHaveValue('/dance');
  await does('/role Ben Kim guest');
  await expect(ann.room.people.getByText('Co-host')).toHaveCount(0);
  await does('//help is a command');
  await ann.room.sees('/help is a command');
  await does('/help');
  const commands = ann.page.getByRole('listbox', { name: 'Commands' });
  await expect(commands.getByRole('option', { selected: true })).toHaveText(/^\/help/);
  // From the first to the last: the rows that are drawn follow.
  await composer.press('ArrowUp');
  await expect(commands.getByRole('option', { selected: true })).toHaveText(/^\/end/);
  await expect(commands.getByRole('option', { name: /^\/ban/ })).toBeVisible();
  await composer.press('Escape');
  await expect(commands).toBeHidden();
  await does('/remove ben kim be kind');
  await expect(ann.room.people.getByText('Ben Kim')).toHaveCount(0);
  await expect(ben.page.getByText('be kind')).toBeVisible();
});
