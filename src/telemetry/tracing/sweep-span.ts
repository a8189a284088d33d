// A look through the journals of processes that are no more: above the aborts of the uploads that they have left open.
import { SpanKind } from '@opentelemetry/api';
import { ownNames } from './attributes.ts';
import { RecordedSpan, type RecordedTrace } from './recorded-span.ts';

export class SweepSpan extends RecordedSpan {
  readonly #abandoned: number;

  constructor(trace: RecordedTrace, abandoned: number) {
    super({ trace, parent: undefined, name: 'journal sweep', kind: SpanKind.INTERNAL });
    this.#abandoned = abandoned;
  }

  override end(): void {
    this.finish({ [ownNames.background]: true, [ownNames.abandoned]: this.#abandoned });
  }
}
