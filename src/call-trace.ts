// What a call to a neighbour carries, so that both ends of it can be seen in one trace. The core only hands it on.

/** Made by whoever watches. Without one a call is made all the same. */
export interface CallTrace {
  /** W3C Trace Context, section 3: `traceparent`, perhaps `tracestate`. Sent beside what is signed, and not signed. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Told of every answer that the neighbour gave. */
  onAnswer?(answer: NeighbourAnswer): void;
}

export interface NeighbourAnswer {
  /** Of HTTP. */
  readonly status: number;
  /** By which the neighbour's own log knows it. */
  readonly requestId?: string | undefined;
}
