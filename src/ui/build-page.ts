// Bundles the upload page into dist/page, with names that change with the content. Run by npm when the package is installed
// from its source, and before it is published.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const sourceFolder = join(import.meta.dirname, 'page');
const builtFolder = join(import.meta.dirname, '../../dist/page');

const esbuild = await import('esbuild').catch(() => undefined);
if (esbuild !== undefined) await buildPage(esbuild);
// An installation without development dependencies has what was built before, or does without the page.
else if (process.argv.includes('--if-possible'))
  process.stderr.write('esbuild is not installed, so the upload page is not built\n');
else throw new Error('esbuild is not installed: run `npm ci`');

async function buildPage({ build }: typeof import('esbuild')): Promise<void> {
  const result = await build({
    entryPoints: [join(sourceFolder, 'main.tsx'), join(sourceFolder, 'icon.svg')],
    outdir: builtFolder,
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    metafile: true,
    format: 'esm',
    target: ['es2022', 'chrome100', 'firefox102', 'safari15.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.svg': 'copy' },
    legalComments: 'none',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'warning',
  });
  const names = Object.keys(result.metafile.outputs).map((file) => basename(file));
  let html = readFileSync(join(sourceFolder, 'page.html'), 'utf8');
  for (const [placeholder, extension] of Object.entries({ script: '.js', style: '.css', icon: '.svg' })) {
    const name = names.find((one) => one.endsWith(extension));
    if (name === undefined) throw new Error(`the bundle has no ${extension} file`);
    html = html.replace(`{{${placeholder}}}`, name);
  }
  writeFileSync(join(builtFolder, 'page.html'), html);
  for (const old of readdirSync(builtFolder))
    if (!names.includes(old) && old !== 'page.html') rmSync(join(builtFolder, old));
}
