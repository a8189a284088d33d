// versitygw as an S3 proxy: a gateway in Go that verifies SigV4 and sends the body on with the AWS SDK for Go.
import { findServer } from '../../../test/servers/find-server.ts';
import type { Arm } from '../arm.ts';
import { accessKey, secretKey } from '../credentials.ts';
import { goModuleVersion } from '../machine.ts';
import { signUpload } from '../sign-upload.ts';

export const versitygw: Arm = {
  name: 'versitygw',
  note: 'Go gateway as an S3 proxy; verifies SigV4 and signs again; uses all cores',
  find: async () => {
    try {
      const version = await goModuleVersion(await findServer('versitygw'), 'github.com/versity/versitygw');
      return { version: `versitygw ${version}` };
    } catch (error) {
      return { missing: error instanceof Error ? error.message : String(error) };
    }
  },
  prepare: async (place) => {
    const keys = ['--access', accessKey, '--secret', secretKey];
    const gateway = ['--port', `127.0.0.1:${place.port}`, ...keys, '--quiet', '--keep-alive'];
    const endpoint = ['--endpoint', `http://127.0.0.1:${place.backendPort}`, '--use-path-style'];
    const cheapest = ['--disable-checksum', '--disable-data-integrity-check'];
    return { file: await findServer('versitygw'), args: [...gateway, 's3', ...keys, ...endpoint, ...cheapest] };
  },
  request: ({ port }, body) => signUpload(`127.0.0.1:${port}`, body, { kind: 'unsigned' }),
};
