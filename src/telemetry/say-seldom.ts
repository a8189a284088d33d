// What may happen with every request is said once a second at most: the first time at once, then how often it was since.

export interface SeldomSaid<Detail> {
  /** It has happened once more. */
  note(detail: Detail): void;
  /** Says what is not said yet: for the end. */
  flush(): void;
}

const pauseMs = 1000;

/** @param say told how often it has happened since it was told last, and the latest detail. */
export function saySeldom<Detail>(say: (times: number, latest: Detail) => void): SeldomSaid<Detail> {
  let unsaid: { times: number; latest: Detail } | undefined;
  let pause: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(pause);
    pause = undefined;
    if (unsaid === undefined) return;
    const { times, latest } = unsaid;
    unsaid = undefined;
    pause = setTimeout(flush, pauseMs).unref();
    try {
      say(times, latest);
    } catch {
      // The log itself, and behind a timer there is nobody to tell.
    }
  }

  return {
    note(detail) {
      unsaid = { times: (unsaid?.times ?? 0) + 1, latest: detail };
      if (pause === undefined) flush();
    },
    flush,
  };
}
