// A body in a framing of its own: text between the bytes of the payload, in the form in which the load generator takes it.
import type { Frame } from './arm.ts';

/** What `--frames` of the load generator reads. */
export const describeFrames = (frames: readonly Frame[]): string =>
  frames.map(({ text, payloadBytes }) => `${text.length} ${payloadBytes}\n${text}`).join('');

/** The whole body in memory: for small ones. */
export function joinFrames(frames: readonly Frame[], payload: Uint8Array): Buffer {
  let taken = 0;
  const pieces = frames.flatMap(({ text, payloadBytes }) => {
    taken += payloadBytes;
    return [Buffer.from(text, 'latin1'), payload.subarray(taken - payloadBytes, taken)];
  });
  return Buffer.concat(pieces);
}
