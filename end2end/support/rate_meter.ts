import type { UdpProxy } from './udp_proxy.ts';
import { clock } from './call_stats.ts';

/** Sampling interval, and the window of a rate, in ms. */
const [READ_EVERY_MS, RATE_OVER_MS] = [100, 1_000];
/** Largest deviation of a steady rate from its final value. */
const STEADY = 0.2;

/** Figures that may be missing: a rate need not become steady. */
export const OPTIONAL = ['sends less after s', 'steady after s'];

/** Rates that were sent and delivered towards a page. */
export class RateMeter {
  private readonly began = clock();
  private readonly readings: { at: number; sent: number; delivered: number }[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly line: UdpProxy) {
    this.read();
    this.timer = setInterval(() => this.read(), READ_EVERY_MS);
  }

  end(): void {
    clearInterval(this.timer);
  }

  /**
   * When the server first sent no more than the limit; when the delivered rate became steady until
   * the end, null if it did not; and that rate as a share of the limit.
   */
  figures(rate: number): Record<string, number | null> {
    const delivered = this.rates('delivered');
    const last = delivered.slice(-Math.ceil(delivered.length / 3)).map(({ bps }) => bps).sort((a, b) => a - b);
    const ends = last[Math.floor(last.length / 2)];
    const unsteady = delivered.findLastIndex(({ bps }) => Math.abs(bps - ends) > STEADY * ends);
    return {
      'sends less after s': this.rates('sent').find(({ bps }) => bps <= rate)?.after ?? null,
      'steady after s': delivered[unsteady + 1]?.after ?? null,
      'then % of it': (ends * 100) / rate,
    };
  }

  private read(): void {
    this.readings.push({ at: clock(), ...this.line.down });
  }

  /** The rate of the second before each reading, with its time in s since the start. */
  private rates(of: 'sent' | 'delivered'): { after: number; bps: number }[] {
    return this.readings.flatMap((now) => {
      const before = this.readings.findLast(({ at }) => at <= now.at - RATE_OVER_MS);
      if (!before) return [];
      const bps = ((now[of] - before[of]) * 8_000) / (now.at - before.at);
      return [{ after: (now.at - this.began) / 1_000, bps }];
    });
  }
}
