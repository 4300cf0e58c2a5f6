import { expect } from '@playwright/test';
import { expectAudio } from './media.ts';
import { OFTEN } from './poll.ts';
import type { Person } from './test.ts';

/** How long a cough is, and how long it is quiet before and after it, in seconds. */
const [COUGH_S, QUIET_S] = [0.1, 1];

/** Sets how loud somebody with a painted camera setVolume from now on, 0 to 1; returns when that was, in ms since 1970. */
export function setVolume(somebody: Person, volume: number): Promise<number> {
  return somebody.page.evaluate((volume) => {
    const voice = (window as any).__voice as GainNode;
    voice.gain.setValueAtTime(volume, voice.context.currentTime);
    return performance.timeOrigin + performance.now();
  }, volume);
}

/** Somebody who is silent cough once, and a listener hears that beside so many others; returns when it is long over. */
export async function cough(somebody: Person, listener: Person, others: number): Promise<void> {
  const heard = expectAudio(listener.page, others + 1);
  const over = somebody.page.evaluate(
    async ([cough, quiet]) => {
      const { gain, context } = (window as any).__voice as GainNode;
      const from = context.currentTime + quiet;
      gain.setValueAtTime(1, from);
      gain.setValueAtTime(0, from + cough);
      const clock = new ConstantSourceNode(context, { offset: 0 });
      clock.start();
      clock.stop(from + cough + quiet);
      await new Promise((done) => (clock.onended = done));
    },
    [COUGH_S, QUIET_S],
  );
  await Promise.all([heard, over]);
}

/** When a sign came or went. */
type Turn = { at: number; speaks: boolean };

/** Watches the speaking sign in somebody's tile. */
export class SpeakingIndicator {
  private constructor(
    private readonly viewer: Person,
    private readonly of: string,
  ) {}

  static async over(viewer: Person, of: string): Promise<SpeakingIndicator> {
    const tile = await viewer.call.tile(of).elementHandle();
    await viewer.page.evaluate(
      ({ tile, of }) => {
        const turns = (((window as any).__speaking ??= {})[of] = [] as Turn[]);
        const look = () => {
          const speaks = /speaking/.test(tile!.textContent ?? '');
          if (speaks === (turns.at(-1)?.speaks ?? false)) return;
          turns.push({ at: performance.timeOrigin + performance.now(), speaks });
        };
        look();
        new MutationObserver(look).observe(tile!, { subtree: true, childList: true, characterData: true });
      },
      { tile, of },
    );
    return new SpeakingIndicator(viewer, of);
  }

  /** Each time it came or went so far. */
  turns(): Promise<Turn[]> {
    return this.viewer.page.evaluate((of) => (window as any).__speaking[of], this.of);
  }

  /** Whether it is there. */
  async speaks(): Promise<boolean> {
    return (await this.turns()).at(-1)?.speaks ?? false;
  }

  /** Waits until it is there, or gone; returns when it came or went, in ms since 1970. */
  async expectTurn(speaks: boolean): Promise<number> {
    const message = `${this.viewer.name} sees ${this.of} ${speaks ? 'speak' : 'fall silent'}`;
    await expect.poll(() => this.speaks(), { ...OFTEN, message }).toBe(speaks);
    return (await this.turns()).at(-1)!.at;
  }
}
