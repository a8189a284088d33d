// What an arm of the benchmark is: something that takes PUTs, with the backend behind it.

import type { DigestName } from './body-digest.ts';

/** Text that goes over the wire before so many bytes of the payload. */
export interface Frame {
  /** ASCII. */
  readonly text: string;
  readonly payloadBytes: number;
}

/** What a load generator asks of an arm. */
export interface ArmRequest {
  readonly path: string;
  /** Header fields as they go on the wire, `Name: value`. */
  readonly headers: readonly string[];
  /** How the payload is framed; undefined: it is the body as it is. */
  readonly frames?: readonly Frame[];
  /** Further header fields: each request has one of them, the next one in turn. */
  readonly turns?: readonly string[];
}

/** Where an arm lives while it runs. */
export interface ArmPlace {
  /** Port on 127.0.0.1 that it shall listen on. */
  readonly port: number;
  /** Port on 127.0.0.1 of the backend. */
  readonly backendPort: number;
  /** A folder of its own, removed afterwards. */
  readonly directory: string;
}

export interface ArmCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Ends what was started beside it, which is not counted as its own. */
  readonly release?: () => Promise<void>;
}

/** A body that is about to be sent: `payload` is repeated from its start until there are `bytes` of it. */
export interface ArmBody {
  readonly payload: Buffer;
  readonly bytes: number;
}

export interface Arm {
  readonly name: string;
  /** What it does that others do not, in a few words, for the reader of the table. */
  readonly note: string;
  /** What it computes of a body to verify it. */
  readonly digests?: readonly DigestName[];
  /** Its version where it can be run here; otherwise a sentence on how to get it. */
  find(): Promise<{ readonly version: string } | { readonly missing: string }>;
  /** Writes what it needs to its folder, starts what it asks besides the backend, and says how it is started; undefined when there is nothing to start. */
  prepare(place: ArmPlace): Promise<ArmCommand | undefined>;
  request(place: ArmPlace, body: ArmBody): ArmRequest;
}

/** The key that every arm is asked to store under; what is measured does not depend on it. */
export const objectPath = '/uploads/bench/object.bin';
