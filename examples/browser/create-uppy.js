// Uppy, with its AwsS3 plugin: progress, pause, retry; large files in parts. The token stands in for signatures.
import AwsS3 from '@uppy/aws-s3';
import Uppy from '@uppy/core';
import '@uppy/core/css/style.min.css';
import Dashboard from '@uppy/dashboard';
import '@uppy/dashboard/css/style.min.css';
import { objectUrl } from './session.js';

const MiB = 1024 * 1024;

export function createUppy(/** @type {{ url: string, token: string }} */ { url, token }) {
  return new Uppy({ autoProceed: true }).use(Dashboard, { target: '#uppy', inline: true, height: 300 }).use(AwsS3, {
    generateObjectKey: (file) => file.name,
    shouldUseMultipart: (file) => file.size > 16 * MiB,
    getChunkSize: () => 8 * MiB,
    signRequest({ method, key, uploadId, partNumber }) {
      const address = new URL(objectUrl(url, key));
      if (partNumber !== undefined) address.searchParams.set('partNumber', partNumber);
      if (uploadId !== undefined) address.searchParams.set('uploadId', uploadId);
      else if (method === 'POST') address.search = 'uploads';
      return { url: address.href, headers: { Authorization: `Bearer ${token}` } };
    },
  });
}
