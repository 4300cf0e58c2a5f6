import { expect } from '@playwright/test';
import { expectAudio } from './media.ts';
import { OFTEN } from './poll.ts';
import type { Person } from './test.ts';

/** Duration of a cough, and of the silence before and after it, in seconds. */
const [COUGH_S, QUIET_S] = [0.1, 1];

/** Sets the microphone volume of a person with a painted camera, 0 to 1; returns the time, in ms since 1970. */
export function setVolume(somebody: Person, volume: number): Promise<number> {
  return somebody.page.evaluate((volume) => {
    const voice = (window as any).__voice as GainNode;
    voice.gain.setValueAtTime(volume, voice.context.currentTime);
    return performance.timeOrigin + performance.now();
  }, volume);
}

/** A silent person coughs once, which a listener hears beside `others`; returns after the cough. */
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

/** When the indicator appeared or disappeared. */
type Turn = { at: number; speaks: boolean };

/** Records the speaking indicator in a person's tile. */
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

  /** Every appearance and disappearance so far. */
  turns(): Promise<Turn[]> {
    return this.viewer.page.evaluate((of) => (window as any).__speaking[of], this.of);
  }

  /** Whether it is visible. */
  async speaks(): Promise<boolean> {
    return (await this.turns()).at(-1)?.speaks ?? false;
  }

  /** Waits until it is visible or gone; returns when that happened, in ms since 1970. */
  async expectTurn(speaks: boolean): Promise<number> {
    const message = `${this.viewer.name} sees ${this.of} ${speaks ? 'speak' : 'fall silent'}`;
    await expect.poll(() => this.speaks(), { ...OFTEN, message }).toBe(speaks);
    return (await this.turns()).at(-1)!.at;
  }
}
