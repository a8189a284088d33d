// A real OpenID Connect provider as a process of its own: issues JWT access tokens to a machine, signed with the first of
// its keys that fits. PUT /test/keys replaces the keys. JavaScript, because oidc-provider comes without types.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';

const { ISSUER: issuer = '', CLIENT: client = '{}', KEYS: keys = '[]' } = process.env;

/** @param {object[]} jwks private keys, the signing one first. @param {string} alg of the tokens. */
function createHandler(jwks, alg) {
  const provider = new Provider(issuer, {
    clients: [{ ...JSON.parse(client), grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    scopes: ['upload', 'read'],
    jwks: { keys: jwks },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        // The parameter that Auth0 and the SDK of OpenFGA have in place of RFC 8707's `resource`.
        defaultResource: (ctx) => ctx.oidc.body?.audience,
        getResourceServerInfo: (_, resource) => ({
          scope: 'upload read',
          audience: resource,
          accessTokenTTL: 3600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg } },
        }),
      },
    },
  });
  return provider.callback();
}

const algOf = ({ kty, alg }) => alg ?? { RSA: 'RS256', EC: 'ES256', OKP: 'EdDSA' }[kty];
let current = JSON.parse(keys);
let handle = createHandler(current, algOf(current[0]));

createServer(async (request, response) => {
  if (request.url !== '/test/keys' || request.method !== 'PUT') return handle(request, response);
  current = JSON.parse(await text(request));
  handle = createHandler(current, algOf(current[0]));
  return response.writeHead(204).end();
}).listen(Number(new URL(issuer).port), '127.0.0.1');
