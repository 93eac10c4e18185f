/** Environment for a program of ours whose clock is off by so many seconds; its timers go on as ever. */
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
