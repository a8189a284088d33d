// One request to the server, with the progress of its body: by XMLHttpRequest, since fetch tells nothing of that.
import { explainRefusal } from './explain-refusal.ts';
import { UploadFault } from './upload-fault.ts';

export interface PageRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Path and query. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Blob | string;
  /** Empty: none is sent. */
  readonly token: string;
  readonly signal: AbortSignal;
  /** Bytes of the body that have gone out. */
  readonly onProgress?: (sentBytes: number) => void;
}

export interface PageAnswer {
  readonly body: string;
  readonly etag: string;
}

/** Silence that tells a dead connection from a slow one. */
const silentSendMs = 45_000;
/** After the body the server may still have to hand it on, and the storage to put parts together. */
const silentAnswerMs = 300_000;

const lost = 'The connection to the server was lost.';

/** @throws UploadFault for whatever is not a success; what the signal was aborted with. */
export function sendRequest(request: PageRequest): Promise<PageAnswer> {
  const { method, url, headers = {}, body, token, signal, onProgress } = request;
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let timer = 0;
    const expect = (ms: number) => {
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        settle(() => reject(new UploadFault('network', lost)));
        xhr.abort();
      }, ms);
    };
    const settle = (how: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      how();
    };
    const stop = () => {
      settle(() => reject(signal.reason as Error));
      xhr.abort();
    };
    if (signal.aborted) return reject(signal.reason as Error);
    signal.addEventListener('abort', stop);

    xhr.open(method, url);
    if (token !== '') xhr.setRequestHeader('Authorization', `Bearer ${token}`);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.addEventListener('progress', ({ loaded }) => {
      expect(silentSendMs);
      onProgress?.(loaded);
    });
    xhr.upload.addEventListener('load', () => expect(silentAnswerMs));
    xhr.addEventListener('error', () => settle(() => reject(new UploadFault('network', lost))));
    xhr.addEventListener('load', () =>
      settle(() => {
        const { status, responseText } = xhr;
        // CompleteMultipartUpload can fail behind a status of success.
        if (status >= 200 && status < 300 && !responseText.includes('<Error>'))
          return resolve({ body: responseText, etag: xhr.getResponseHeader('ETag') ?? '' });
        reject(explainRefusal({ status, body: responseText, retryAfter: xhr.getResponseHeader('Retry-After') }));
      }),
    );
    expect(body === undefined || typeof body === 'string' ? silentAnswerMs : silentSendMs);
    xhr.send(body ?? null);
  });
}
