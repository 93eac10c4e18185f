/**
 * Environment that shifts the clock of one of our programs by this many seconds; its timers are
 * unaffected.
 */
export function shiftedClock(seconds: number): { readonly NODE_OPTIONS: string } {
  const preload = `
    const RealDate = Date;
    const now = () => RealDate.now() + ${seconds * 1_000};
    globalThis.Date = class Date extends RealDate {
      constructor(...given) {
        if (given.length === 0) super(now());
        else super(...given);
      }
      static now() {
        return now();
      }
    };`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` };
}
