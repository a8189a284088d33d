// The control arm: the load generator straight to the backend, with nothing between.
import { type Arm, objectPath } from '../arm.ts';

export const direct: Arm = {
  name: 'direct',
  note: 'no proxy: what the load generator and the backend can do',
  find: async () => ({ version: 'this run’s own backend' }),
  prepare: async () => undefined,
  request: () => ({ path: objectPath, headers: [] }),
};
