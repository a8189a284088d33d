// Trace and span ids: random bytes, drawn many at a time, as that is most of their price.
import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafeSlow(4096);
let used = pool.length;

export function createTraceId(): string {
  return draw(16);
}

export function createSpanId(): string {
  return draw(8);
}

function draw(bytes: number): string {
  for (;;) {
    if (used + bytes > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const id = pool.toString('hex', used, used + bytes);
    used += bytes;
    // All zeros means "none" (W3C Trace Context, section 3.2.2.3).
    if (!/^0+$/.test(id)) return id;
  }
}
