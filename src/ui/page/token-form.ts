// The form for the token, and the line that says whose it is.
import { findElement } from './find-element.ts';
import { createTokenHolder, explainTokenRefusal, readTokenFacts, type TokenHolder } from './token.ts';

export interface TokenForm {
  readonly token: string;
  /** Asks for another one. @returns why, for whoever failed for want of it. */
  refuse(): string;
}

export interface TokenFormOptions {
  readonly needsToken: boolean;
  readonly store: Storage | undefined;
  /** From the address; empty when there is none. */
  readonly given: string;
  readonly onNew: () => void;
}

export function createTokenForm({ needsToken, store, given, onNew }: TokenFormOptions): TokenForm {
  const form = findElement('token-form', HTMLFormElement);
  const input = findElement('token', HTMLInputElement);
  const fault = findElement('token-fault', HTMLElement);
  const change = findElement('token-change', HTMLButtonElement);
  const holder = createTokenHolder(store);
  if (given !== '') holder.set(given);

  const show = (isOpen: boolean) => {
    form.hidden = !isOpen;
    change.setAttribute('aria-expanded', String(isOpen));
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    holder.set(input.value);
    input.value = '';
    fault.textContent = '';
    showFacts(holder);
    show(holder.value === '');
    if (holder.value !== '') onNew();
  });
  change.addEventListener('click', () => {
    show(form.hidden === true);
    if (!form.hidden) input.focus();
  });
  showFacts(holder);
  show(needsToken && holder.value === '');

  return {
    get token() {
      return holder.value;
    },
    refuse() {
      const wasOpen = !form.hidden && fault.textContent !== '';
      const why = explainTokenRefusal(holder.value, Date.now(), showTime);
      fault.textContent = why;
      show(true);
      if (!wasOpen) input.focus();
      return why;
    },
  };
}

function showFacts({ value }: TokenHolder): void {
  const facts = readTokenFacts(value);
  const parts = [
    facts?.subject === undefined ? 'Token set' : `Token of ${facts.subject}`,
    ...(facts?.expiresAtMs === undefined ? [] : [`good until ${showTime(facts.expiresAtMs)}`]),
  ];
  findElement('token-text', HTMLElement).textContent = parts.join(', ');
  findElement('token-facts', HTMLElement).hidden = value === '';
}

function showTime(ms: number): string {
  const isToday = new Date(ms).toDateString() === new Date().toDateString();
  return isToday
    ? new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : new Date(ms).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}
