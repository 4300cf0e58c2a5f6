/**
 * How often helpers poll media, in ms; the last interval repeats. By default Playwright polls
 * once a second after a while, which a call test would wait for ten times over.
 */
export const OFTEN = { intervals: [50, 100, 200] };
