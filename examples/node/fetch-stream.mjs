// Uploads a file with fetch and the token in MIZUCHI_TOKEN: no package is needed, and the file is never held whole.
// node fetch-stream.mjs FILE KEY
import { createReadStream } from 'node:fs';
import { argv, env, exit, stderr, stdout } from 'node:process';

const [, , file, key] = argv;
if (file === undefined || key === undefined || env.MIZUCHI_TOKEN === undefined) {
  stderr.write('usage: MIZUCHI_TOKEN=… node fetch-stream.mjs FILE KEY\n');
  exit(2);
}

try {
  const path = key.split('/').map(encodeURIComponent).join('/');
  const answer = await fetch(`${env.MIZUCHI_URL ?? 'http://127.0.0.1:8080'}/uploads/${path}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${env.MIZUCHI_TOKEN}`, 'content-type': 'application/octet-stream' },
    body: createReadStream(file),
    // Needed with a stream. fetch sends it chunked, without a length: the proxy cuts it into parts.
    duplex: 'half',
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  stdout.write(`uploaded ${file}, ETag ${answer.headers.get('etag')}\n`);
} catch (error) {
  stderr.write(`not uploaded: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
