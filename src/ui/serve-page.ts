// Answers for the upload page and what it is made of: read once at start, and served from memory.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { HttpRequest, HttpResponse } from '../http.ts';
import type { PageSettings } from './page-settings.ts';

/** No bucket's name begins with a hyphen, so nothing is stored under such a path. */
const assetPath = '/-/ui/';

/** The same, seen from the source and from what is compiled of it. */
const builtFolder = join(import.meta.dirname, '../../dist/page');

const contentTypes: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * Nothing inline is run, so whatever a file's name or an answer may bring into the page stays text. Styles need no exception:
 * those that are set through the object model do not count. `data:` is for the icons in the style sheet.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headersOfAll: HttpResponse['headers'] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
];

const headersOfPage: HttpResponse['headers'] = [
  ...headersOfAll,
  ['Content-Type', 'text/html; charset=utf-8'],
  ['Content-Security-Policy', contentSecurityPolicy],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Permissions-Policy', 'camera=(), geolocation=(), microphone=()'],
  ['X-Frame-Options', 'DENY'],
  ['Cache-Control', 'no-cache'],
];

interface Variants {
  readonly plain: string;
  readonly br: Uint8Array;
  readonly gzip: Uint8Array;
}

/** Undefined: the request is not for the page. */
export type PageRoute = (request: HttpRequest) => HttpResponse | undefined;

/** @throws Error that says what to run when the page has not been built. */
export function createPageRoute(settings: PageSettings, folder: string = builtFolder): PageRoute {
  const page = compress(readPage(folder).replace('{{settings}}', () => toDataBlock(settings)));
  const assets = new Map(
    readdirSync(folder)
      .filter((name) => extname(name) in contentTypes)
      .map((name) => [assetPath + name, { name, variants: compress(readFileSync(join(folder, name), 'utf8')) }]),
  );

  return (request) => {
    const { method, rawPath, rawQuery, headers, body } = request;
    if ((method !== 'GET' && method !== 'HEAD') || body.length !== 0 || rawQuery !== '') return undefined;
    if (rawPath === '/') {
      // Programs that ask what this is are told in JSON; an S3 client that signs is asking for its buckets.
      if (headers.has('authorization') || !/\btext\/html\b/i.test(headers.get('accept') ?? '')) return undefined;
      return answer(request, page, [...headersOfPage, ['Vary', 'Accept, Accept-Encoding']]);
    }
    const asset = assets.get(rawPath);
    if (asset === undefined) return undefined;
    return answer(request, asset.variants, [
      ...headersOfAll,
      ['Content-Type', contentTypes[extname(asset.name)] ?? ''],
      // The name changes with the content.
      ['Cache-Control', 'public, max-age=31536000, immutable'],
      ['Vary', 'Accept-Encoding'],
    ]);
  };
}

function readPage(folder: string): string {
  try {
    return readFileSync(join(folder, 'page.html'), 'utf8');
  } catch (error) {
    throw new Error('the upload page has not been built: run `npm run build`, or set ui.enabled to false', {
      cause: error,
    });
  }
}

/** As JSON within a script element, which nothing in it can end. */
function toDataBlock(settings: PageSettings): string {
  return JSON.stringify(settings).replaceAll('<', '\\u003c');
}

function compress(plain: string): Variants {
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
  return { plain, br: brotliCompressSync(plain, quality), gzip: gzipSync(plain, { level: 9 }) };
}

function answer({ headers }: HttpRequest, variants: Variants, fields: HttpResponse['headers']): HttpResponse {
  const encoding = chooseEncoding(headers.get('accept-encoding') ?? '');
  if (encoding === undefined) return { status: 200, headers: fields, body: variants.plain };
  return { status: 200, headers: [...fields, ['Content-Encoding', encoding]], body: variants[encoding] };
}

/** RFC 9110, section 12.5.3; whoever weighs a coding down to nothing gets the plain text. */
function chooseEncoding(accepted: string): 'br' | 'gzip' | undefined {
  const names = new Set(
    accepted
      .toLowerCase()
      .split(',')
      .map((member) => member.trim()),
  );
  return (['br', 'gzip'] as const).find((name) => names.has(name));
}
