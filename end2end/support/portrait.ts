import type { Page } from '@playwright/test';

/** Colours of a drawn person: background, clothes, hair. */
export type Portrait = [wall: string, clothes: string, hair: string];

/** Gives a page a drawn person as its camera, whose mouth moves with `speaks`, and slides as its screen. */
export async function portray(page: Page, portrait: Portrait, speaks = false): Promise<void> {
  await page.addInitScript(
    ({ portrait: [wall, clothes, hair], speaks }) => {
      if (typeof MediaDevices === 'undefined') return;
      const board = (width: number, height: number, draw: (board: CanvasRenderingContext2D, at: number) => void) => {
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [width, height];
        const context = canvas.getContext('2d')!;
        setInterval(() => draw(context, performance.now() / 1_000), 50);
        draw(context, 0);
        return canvas.captureStream(20);
      };
      const round = (to: CanvasRenderingContext2D, colour: string, x: number, y: number, rx: number, ry: number) => {
        to.fillStyle = colour;
        to.beginPath();
        to.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
        to.fill();
      };
      const person = (to: CanvasRenderingContext2D, at: number) => {
        const light = to.createLinearGradient(0, 0, 1280, 720);
        light.addColorStop(0, wall);
        light.addColorStop(1, '#2b2622');
        to.fillStyle = light;
        to.fillRect(0, 0, 1280, 720);
        const [x, y] = [640 + 12 * Math.sin(at), 330 + 5 * Math.sin(2 * at)];
        round(to, clothes, x, 800, 330, 260);
        round(to, '#d9a988', x, y + 175, 62, 110);
        round(to, hair, x, y - 20, 158, 186);
        round(to, '#e8bc9a', x, y + 20, 130, 158);
        round(to, hair, x, y - 120, 140, 70);
        for (const side of [-48, 48]) round(to, '#3a2d28', x + side, y + 5, 10, 12);
        round(to, '#a8554c', x, y + 92, 34, speaks ? 6 + 12 * Math.abs(Math.sin(7 * at)) : 6);
      };
      const slide = (to: CanvasRenderingContext2D) => {
        to.fillStyle = '#fdfaf4';
        to.fillRect(0, 0, 1280, 720);
        to.fillStyle = '#00665e';
        to.font = 'bold 62px sans-serif';
        to.fillText('Spring picnic', 90, 150);
        to.fillStyle = '#33302c';
        to.font = '38px sans-serif';
        ['Saturday, 11 o’clock, by the lake', 'Everybody brings one dish', 'Rain? Then at Cleo’s'].forEach((line, n) => to.fillText(`•  ${line}`, 100, 260 + 80 * n));
        [210, 320, 150, 270].forEach((height, n) => {
          to.fillStyle = ['#00665e', '#c9683a', '#7a9e7e', '#d8b04c'][n];
          to.fillRect(880 + 85 * n, 620 - height, 60, height);
        });
      };
      const { getUserMedia } = MediaDevices.prototype;
      MediaDevices.prototype.getUserMedia = async function ({ video, audio }: MediaStreamConstraints = {}) {
        const tracks = video ? board(1280, 720, person).getTracks() : [];
        if (audio) tracks.push(...(await getUserMedia.call(this, { audio })).getTracks());
        return new MediaStream(tracks);
      };
      MediaDevices.prototype.getDisplayMedia = async () => board(1280, 720, slide);
    },
    { portrait, speaks },
  );
}
