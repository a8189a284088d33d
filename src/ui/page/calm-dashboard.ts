// Uppy's Dashboard, drawn no more often than anybody can see: by itself it counts all files anew at each change of any of them, which
// with thousands of files takes longer than to send one.
import type { Body, Meta, State } from '@uppy/core';
import Dashboard from '@uppy/dashboard';
import { throttle } from './throttle.ts';

const drawEveryMs = 100;

export class CalmDashboard<M extends Meta, B extends Body> extends Dashboard<M, B> {
  readonly #draw = throttle(() => super.update(this.uppy.getState()), drawEveryMs);

  override update(_state: Partial<State<M, B>>): void {
    this.#draw();
  }
}
