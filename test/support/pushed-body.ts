// A request's body without a network: the real reader, fed by a test as a server would feed it.
import { ByteBudget } from '../../src/upload/body/byte-budget.ts';
import { BodyReader } from '../../src/server/body-reader.ts';
import { ReadingRoom, type ReadLimits } from '../../src/server/reading-room.ts';

export interface PushedBody {
  readonly reader: BodyReader;
  readonly budget: ByteBudget;
  readonly room: ReadingRoom;
  /** Whether the connection is being read at the moment. */
  readonly isPaused: () => boolean;
  /** Whether the server would close the connection in a while: it starts its timer whenever something comes, and stops it at a pause. */
  readonly isTimed: () => boolean;
  /** Codes of the faults that the reader has told of. */
  readonly timeouts: readonly string[];
  readonly push: (bytes: Uint8Array, isLast?: boolean) => void;
}

export interface PushedBodyOptions {
  readonly length?: number | undefined;
  readonly budgetBytes?: number;
  readonly limits?: Partial<ReadLimits>;
  readonly budget?: ByteBudget;
  readonly room?: ReadingRoom;
}

export function createPushedBody({
  length,
  budgetBytes = 64 * 1024 * 1024,
  limits,
  ...shared
}: PushedBodyOptions = {}): PushedBody {
  const budget = shared.budget ?? new ByteBudget(budgetBytes);
  const room =
    shared.room ??
    new ReadingRoom(budget, { idleTimeoutSeconds: 60, uploadTimeoutSeconds: 0, queueTimeoutSeconds: 10, ...limits });
  let paused = false;
  let timed = true;
  const throttle = {
    pause: () => {
      paused = true;
      timed = false;
    },
    resume: () => {
      paused = false;
      timed = true;
    },
  };
  const timeouts: string[] = [];
  const reader = new BodyReader(room, { throttle, length, onTimeout: ({ code }) => timeouts.push(code) });
  room.enter(reader);
  return {
    reader,
    budget,
    room,
    isPaused: () => paused,
    isTimed: () => timed,
    timeouts,
    push: (bytes, isLast = false) => {
      // A buffer of its own, detached afterwards, as the server does: whoever kept it finds it empty.
      const copy = new Uint8Array(bytes).buffer;
      timed = true;
      reader.push(copy, isLast);
      structuredClone(copy, { transfer: [copy] });
    },
  };
}
