// What a micro benchmark is: one stage of the path, alone, with input that it does not like.

export interface MicroBenchmark {
  readonly name: string;
  /** Bytes that one call works through, for stages whose speed is a rate. */
  readonly bytesPerCall?: number;
  /** Does the work once; a promise is awaited. What it returns is kept, so that the work cannot be left out. */
  call(): unknown;
}
