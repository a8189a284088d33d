// Signs a PUT as S3 clients do (AWS Signature Version 4), with the body not signed, signed by its hash, or in chunks.
// Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)"; paths must need no encoding.
import { createHash, createHmac } from 'node:crypto';

import { type ArmBody, type ArmRequest, type Frame, objectPath } from './arm.ts';
import { bodyDigest, type DigestName } from './body-digest.ts';
import { accessKey, region, secretKey } from './credentials.ts';

/** How the body is sent, and what is signed of it. */
export type SignedForm =
  | { readonly kind: 'unsigned' | 'hash' }
  | {
      readonly kind: 'chunks';
      readonly chunkBytes: number;
      readonly isSigned: boolean;
      /** The checksum behind the last chunk. */
      readonly trailer?: Exclude<DigestName, 'sha256'>;
    };

const sha256Hex = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
const emptySha256 = sha256Hex('');
const hmac = (key: Uint8Array | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();

interface Signer {
  readonly time: string;
  readonly scope: string;
  readonly sign: (text: string) => string;
}

function createSigner(now: Date): Signer {
  const time = now.toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const key = scope
    .split('/')
    .slice(1)
    .reduce(hmac, hmac(`AWS4${secretKey}`, time.slice(0, 8)));
  return { time, scope, sign: (text) => hmac(key, text).toString('hex') };
}

function payloadHash(body: ArmBody, form: SignedForm): string {
  switch (form.kind) {
    case 'unsigned':
      return 'UNSIGNED-PAYLOAD';
    case 'hash':
      return bodyDigest(body, 'sha256').toString('hex');
    case 'chunks':
      return `STREAMING-${form.isSigned ? 'AWS4-HMAC-SHA256' : 'UNSIGNED'}-PAYLOAD${form.trailer ? '-TRAILER' : ''}`;
  }
}

/** A request that is good for fifteen minutes. */
export function signUpload(host: string, body: ArmBody, form: SignedForm, now: Date = new Date()): ArmRequest {
  const signer = createSigner(now);
  const hash = payloadHash(body, form);
  const fields: Record<string, string> = { host, 'x-amz-content-sha256': hash, 'x-amz-date': signer.time };
  if (form.kind === 'chunks') {
    fields['content-encoding'] = 'aws-chunked';
    fields['x-amz-decoded-content-length'] = String(body.bytes);
    if (form.trailer) fields['x-amz-trailer'] = `x-amz-checksum-${form.trailer}`;
  }
  const names = Object.keys(fields).toSorted();
  const lines = names.map((name) => `${name}:${fields[name]}\n`).join('');
  const canonical = ['PUT', objectPath, '', lines, names.join(';'), hash].join('\n');
  const seed = signer.sign(['AWS4-HMAC-SHA256', signer.time, signer.scope, sha256Hex(canonical)].join('\n'));
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${signer.scope}, SignedHeaders=${names.join(';')}, Signature=${seed}`;
  const headers = names.filter((name) => name !== 'host').map((name) => `${name}: ${fields[name]}`);
  return {
    path: objectPath,
    headers: [...headers, `Authorization: ${authorization}`],
    ...(form.kind === 'chunks' && { frames: frameBody(body, form, signer, seed) }),
  };
}

/** From a place in the payload to the hash of what is sent from there: bodies repeat their payload, and so its chunks. */
function createChunkHash({ payload }: ArmBody): (from: number, byteLength: number) => string {
  const known = new Map<string, string>();
  return (from, byteLength) => {
    const at = from % payload.length;
    const key = `${at} ${byteLength}`;
    let hash = known.get(key);
    if (hash === undefined) {
      const running = createHash('sha256');
      for (let done = 0; done < byteLength;) {
        const start = (at + done) % payload.length;
        const piece = payload.subarray(start, start + byteLength - done);
        running.update(piece);
        done += piece.length;
      }
      hash = running.digest('hex');
      known.set(key, hash);
    }
    return hash;
  };
}

function frameBody(
  body: ArmBody,
  { chunkBytes, isSigned, trailer }: SignedForm & { readonly kind: 'chunks' },
  signer: Signer,
  seed: string,
): readonly Frame[] {
  const hashChunk = createChunkHash(body);
  let previous = seed;
  const signNext = (kind: 'PAYLOAD' | 'TRAILER', ...hashes: readonly string[]): string => {
    previous = signer.sign([`AWS4-HMAC-SHA256-${kind}`, signer.time, signer.scope, previous, ...hashes].join('\n'));
    return previous;
  };
  const sizeLine = (bytes: number, hash: () => string): string =>
    `${bytes.toString(16)}${isSigned ? `;chunk-signature=${signNext('PAYLOAD', emptySha256, hash())}` : ''}\r\n`;

  const frames: Frame[] = [];
  let lineEnd = '';
  for (let at = 0; at < body.bytes; at += chunkBytes) {
    const payloadBytes = Math.min(chunkBytes, body.bytes - at);
    frames.push({ text: lineEnd + sizeLine(payloadBytes, () => hashChunk(at, payloadBytes)), payloadBytes });
    lineEnd = '\r\n';
  }
  let end = lineEnd + sizeLine(0, () => emptySha256);
  if (trailer) {
    const field = `x-amz-checksum-${trailer}:${bodyDigest(body, trailer).toString('base64')}`;
    end += `${field}\r\n`;
    if (isSigned) end += `x-amz-trailer-signature:${signNext('TRAILER', sha256Hex(`${field}\n`))}\r\n`;
  }
  return [...frames, { text: `${end}\r\n`, payloadBytes: 0 }];
}
