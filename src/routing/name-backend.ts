// Which service an endpoint is: two entries of the configuration may spell one in two ways.

const amazon = /(?:^|\.)amazonaws\.com(?:\.cn)?$/;
const thisHost = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

/**
 * Equal for one service, as far as a name tells; a host that has several names of its own cannot be known here.
 * @param endpoint a URL; undefined is Amazon S3, where a bucket's name is its own in all regions.
 */
export function nameBackend(endpoint: string | undefined): string {
  if (endpoint === undefined) return 'aws';
  const { hostname, port, protocol } = new URL(endpoint);
  if (amazon.test(hostname)) return 'aws';
  const isHere = thisHost.test(hostname);
  return `${isHere ? 'localhost' : hostname}:${port || (protocol === 'https:' ? '443' : '80')}`;
}
