// Where a bucket's things lie under the root: objects, temporary files, open multipart uploads.
import { mkdir, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { S3Error } from '../../errors.ts';
import { encodeKey } from './encode-key.ts';
import { ensureFolder } from './folders.ts';
import { sweepTemporaryFolder } from './sweep-temporary-folder.ts';

/** The places of one object. */
export interface ObjectPlace {
  readonly key: string;
  /** The folder that holds both files. */
  readonly folder: string;
  readonly file: string;
  readonly recordFile: string;
  readonly temporaryFolder: string;
  /** Open multipart uploads of the whole bucket, a folder each. */
  readonly uploadsFolder: string;
}

const temporaryFolderName = '%tmp';
const uploadsFolderName = '%uploads';
const recordEnding = '%meta';
/** PATH_MAX of Linux (limits.h), which counts the byte that ends the text. */
const maxPathBytes = 4095;
/** Wider than S3's rule, as the root may be older than it; nothing that could leave the root or be taken for `%tmp`. */
const bucketName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

export interface RootFolder {
  /**
   * @throws S3Error KeyTooLongError or InvalidURI for a key that cannot be kept exactly, NoSuchBucket for a bucket's name
   * that is none.
   */
  locate(object: { readonly bucket: string; readonly key: string }): Promise<ObjectPlace>;
  /** Makes the bucket's folders. @returns its `%tmp`. */
  prepare(bucket: string): Promise<string>;
  /** Removes what processes that are gone have left, once for the root. */
  sweep(): Promise<void>;
  /** Does so once more: of some it is only told by time that they are gone. */
  sweepAgain(): Promise<void>;
}

export function createRootFolder(root: string): RootFolder {
  let opening: Promise<string> | undefined;
  let sweeping: Promise<void> | undefined;

  /** Links in the root's own path are its owner's choice: they are followed here, once. */
  async function openRoot(): Promise<string> {
    await mkdir(root, { recursive: true });
    return realpath(root);
  }
  async function bucketFolder(bucket: string): Promise<string> {
    if (!bucketName.test(bucket)) throw new S3Error('NoSuchBucket');
    opening ??= openRoot().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return path.join(await opening, bucket);
  }
  async function sweepBuckets(): Promise<void> {
    await mkdir(root, { recursive: true });
    const folders = await readdir(root, { withFileTypes: true });
    for (const { name } of folders.filter((entry) => entry.isDirectory() && bucketName.test(entry.name))) {
      await sweepTemporaryFolder(path.join(await bucketFolder(name), temporaryFolderName));
    }
  }

  return {
    async locate({ bucket, key }) {
      const names = encodeKey(key);
      const base = await bucketFolder(bucket);
      const file = path.join(base, ...names);
      const recordFile = file + recordEnding;
      if (Buffer.byteLength(recordFile) > maxPathBytes) throw new S3Error('KeyTooLongError');
      return {
        key,
        folder: path.dirname(file),
        file,
        recordFile,
        temporaryFolder: path.join(base, temporaryFolderName),
        uploadsFolder: path.join(base, uploadsFolderName),
      };
    },
    async prepare(bucket) {
      const temporaryFolder = path.join(await bucketFolder(bucket), temporaryFolderName);
      await ensureFolder(temporaryFolder);
      return temporaryFolder;
    },
    sweep() {
      sweeping ??= sweepBuckets().catch((error: unknown) => {
        sweeping = undefined;
        throw error;
      });
      return sweeping;
    },
    sweepAgain: sweepBuckets,
  };
}
