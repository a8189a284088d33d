// A question to a policy engine, or a fetch of keys.
import { SpanKind, type Attributes } from '@opentelemetry/api';
import { RecordedSpan, type SpanStart } from './recorded-span.ts';

export class NeighbourSpan extends RecordedSpan {
  readonly #attributes: Attributes;

  constructor(start: Omit<SpanStart, 'kind'>, attributes: Attributes) {
    super({ ...start, kind: SpanKind.CLIENT });
    this.#attributes = attributes;
  }

  override end(error?: unknown): void {
    this.finish(this.#attributes, error);
  }
}
