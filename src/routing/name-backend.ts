// Which service an endpoint is: two entries of the configuration may spell one in two ways.

const amazonS3 = /(?:^|\.)s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com(\.cn)?$/;
const thisHost = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/**
 * Equal for one service, as far as a name tells; a host that has several names of its own cannot be known here. In Amazon S3 a
 * bucket's name is its own in all regions, but for China's.
 * @param endpoint a URL.
 */
export function nameBackend(endpoint: string): string {
  const { hostname: written, port, protocol } = new URL(endpoint);
  const hostname = written.replace(/\.$/, '');
  const [isAmazonS3, isChina] = amazonS3.exec(hostname) ?? [];
  if (isAmazonS3 !== undefined) return isChina === undefined ? 'aws' : 'aws-cn';
  return `${thisHost.test(hostname) ? 'localhost' : hostname}:${port || (protocol === 'https:' ? '443' : '80')}`;
}
