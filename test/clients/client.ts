// What an S3 client of the compatibility tests is, and how its programs are run.
import type { ChecksumAlgorithm } from '@aws-sdk/client-s3';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startProcess } from '../servers/start-process.ts';
import { findClient, type ClientProgram } from './find-client.ts';

/** Where a client uploads to. */
export interface Target {
  /** Scheme, host and port. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  readonly bucket: string;
  /** The authority to trust, in PEM, where the endpoint is https. */
  readonly caFile?: string;
}

/** One file and what the object shall be. */
export interface Upload {
  readonly file: string;
  readonly key: string;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface RunOptions {
  /** A file that arrives through a pipe: without a length, and not to be read twice. */
  readonly stdin?: string;
  /** Added to what `environmentOf` gives. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A client at work on one upload: with a home folder of its own, which is removed afterwards. */
export interface Session {
  readonly target: Target;
  /** An empty folder. */
  readonly home: string;
  /** @returns what the program wrote. @throws Error with what it wrote, when it ends with anything but 0 or takes too long. */
  run(program: ClientProgram, args: readonly string[], options?: RunOptions): Promise<string>;
}

export type BodyName = 'empty' | 'small' | 'large';

export type Scheme = 'http' | 'https';

/** One way in which a client uploads. */
export interface Way {
  readonly name: string;
  /** In the table of clients, in Markdown: the name as code unless told. Ways with the same label are one there. */
  readonly label?: string;
  /** Both unless told. */
  readonly schemes?: readonly Scheme[];
  /** Bodies that it is for; all unless told. */
  readonly bodies?: readonly BodyName[];
  /** What the client says of the object, so that it must be found on the one that is stored. */
  readonly sends: {
    readonly contentType?: boolean;
    readonly metadata?: boolean;
    readonly checksum?: ChecksumAlgorithm;
  };
  /** The large body is a multipart upload of the client's own. */
  readonly sendsParts?: boolean;
  /** The client does not tell its user why it failed. */
  readonly isSilent?: boolean;
  upload(session: Session, upload: Upload): Promise<unknown>;
}

/** Something that a client cannot do, as nothing can be read, listed or asked for through the proxy. */
export interface Refusal {
  readonly name: string;
  /** As of `Way`. */
  readonly label?: string;
  /** @returns what the client wrote: some end with 0 all the same. */
  attempt(session: Session, upload: Upload): Promise<string>;
}

export interface Client {
  readonly name: string;
  readonly version: string;
  /** What must be set besides the endpoint, the keys, the region and path-style addresses; in Markdown, may be empty. */
  readonly settings: string;
  readonly ways: readonly Way[];
  readonly refusals: readonly Refusal[];
}

export const checksumAlgorithms = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;

const timeoutMs = 90_000;

/** Gives `use` a session whose programs see nothing of the tester's own environment. */
export async function withSession<T>(target: Target, use: (session: Session) => Promise<T>): Promise<T> {
  const home = await mkdtemp(path.join(tmpdir(), 'mizuchi-client-'));
  const run: Session['run'] = async (program, args, options = {}) => {
    const command = [...(await findClient(program)), ...args];
    return runCommand(command, { home, env: { ...environmentOf(target), ...options.env }, stdin: options.stdin });
  };
  try {
    return await use({ target, home, run });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

interface CommandOptions {
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string | undefined;
}

async function runCommand(command: readonly string[], { home, env, stdin }: CommandOptions): Promise<string> {
  // bash becomes the program; cat writes into a pipe.
  const args = [
    '-c',
    stdin === undefined ? 'exec "$@"' : 'exec "$@" < <(exec cat -- "$0")',
    stdin ?? 'bash',
    ...command,
  ];
  const running = startProcess({ command: 'bash', args, env: { HOME: home, LC_ALL: 'C.UTF-8', ...env }, cwd: home });
  const timer = setTimeout(() => void running.stop('SIGKILL'), timeoutMs);
  const { code, signal } = await running.ended;
  clearTimeout(timer);
  if (code === 0) return running.output();
  throw new Error(`${command.join(' ')} ended with ${code ?? signal}:\n${running.output()}`);
}

/** What the AWS SDKs and command lines read, and whom Go, Python and Node trust. */
function environmentOf({ endpoint, accessKey, secretKey, region, caFile }: Target): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: secretKey,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...(caFile === undefined
      ? {}
      : { AWS_CA_BUNDLE: caFile, SSL_CERT_FILE: caFile, REQUESTS_CA_BUNDLE: caFile, NODE_EXTRA_CA_CERTS: caFile }),
  };
}

/** Puts the file into a folder as the last two segments of its key. @returns the folder and the rest of the key. */
export async function folderOf({ home }: Session, { file, key }: Upload): Promise<{ folder: string; prefix: string }> {
  const segments = key.split('/');
  const folder = path.join(home, 'folder');
  const copy = path.join(folder, ...segments.slice(-2));
  await mkdir(path.dirname(copy), { recursive: true });
  await copyFile(file, copy);
  return { folder, prefix: segments.slice(0, -2).join('/') };
}

/** The metadata as a list of words. */
export function metadataWords(
  { metadata }: Upload,
  word: (name: string, value: string) => readonly string[],
): string[] {
  return Object.entries(metadata).flatMap(([name, value]) => word(name, value));
}
