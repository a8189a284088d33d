// Serves the page on an origin that is not the proxy's, http://localhost:3000, and tells it the token of whoever is logged in.
import { build } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { env, stdout } from 'node:process';

const { MIZUCHI_URL: url = 'http://127.0.0.1:8080', MIZUCHI_TOKEN: token, PORT: port = '3000' } = env;
if (token === undefined) throw new Error('MIZUCHI_TOKEN is not set');

const folder = import.meta.dirname;
const { outputFiles } = await build({
  entryPoints: [`${folder}/page.js`],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  outdir: '/',
  write: false,
});

/** @type {Map<string, [type: string, body: string | Uint8Array]>} */
const answers = new Map([
  ['/', ['text/html', await readFile(`${folder}/index.html`)]],
  ['/page.js', ['text/javascript', outputFiles.find(({ path }) => path.endsWith('.js')).contents]],
  ['/page.css', ['text/css', outputFiles.find(({ path }) => path.endsWith('.css')).contents]],
  // In a service of one's own: by the user's cookie, a token for that user that is good for minutes.
  ['/session', ['application/json', JSON.stringify({ url, token })]],
]);

createServer((request, response) => {
  const [type, body] = answers.get(request.url) ?? [];
  if (type === undefined) return void response.writeHead(404).end();
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}).listen(Number(port), 'localhost', () => stdout.write(`http://localhost:${port}\n`));
