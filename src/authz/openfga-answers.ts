// What OpenFGA's answers to the checks of one question come to.
import { Fault } from '../fault.ts';

/** Holds nothing of a question, and of what a server has said its status and code alone. */
export class OpenFgaFault extends Fault {
  override readonly name = 'OpenFgaFault';
  /** Of OpenFGA's own answer, or what it would have been for one check of several; undefined: there was none. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

export type Answer = boolean | OpenFgaFault;

export type Verdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied'; readonly relation: string }
  /** It depends on a check that was not answered. */
  | { readonly kind: 'unknown'; readonly fault: OpenFgaFault };

/**
 * Every relation must hold with one of the objects at least.
 * @param answers relation by relation, and within each object by object.
 */
export function judge(relations: readonly string[], answers: readonly Answer[]): Verdict {
  const perRelation = answers.length / relations.length;
  let fault: OpenFgaFault | undefined;
  for (const [index, relation] of relations.entries()) {
    const own = answers.slice(index * perRelation, (index + 1) * perRelation);
    if (own.includes(true)) continue;
    const unanswered = own.find((answer) => typeof answer !== 'boolean');
    // A relation that surely does not hold refuses, whatever is not known of the others.
    if (unanswered === undefined) return { kind: 'denied', relation };
    fault = unanswered;
  }
  return fault === undefined ? { kind: 'allowed' } : { kind: 'unknown', fault };
}
