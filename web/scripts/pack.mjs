// Compresses every file of the build once, as small as it gets, and holds the first route to its
// budget: what a browser loads before it can show anything, in brotli.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { minify } from 'terser';

const DIST = new URL('../dist', import.meta.url).pathname;
const COMPRESSIBLE = /\.(html|js|css|svg|json|txt|webmanifest)$/;
const JS_BYTES_MAX = 25_000;
const CSS_BYTES_MAX = 6_000;

// It is copied past the bundler, and a browser has no use for its comments.
const THEME = join(DIST, 'theme.js');
writeFileSync(THEME, (await minify(readFileSync(THEME, 'utf8'), { ecma: 2020 })).code);

const files = readdirSync(DIST, { recursive: true })
  .map((name) => join(DIST, name))
  .filter((file) => statSync(file).isFile() && COMPRESSIBLE.test(file));

const sizes = new Map();
for (const file of files) {
  const bytes = readFileSync(file);
  const br = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  writeFileSync(`${file}.br`, br);
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  sizes.set(`/${relative(DIST, file)}`, br.length);
}

// The first route is what index.html names and what that imports; the rest is loaded on demand.
const named = new Set();
const follow = (text, pattern, base) => {
  for (const [, name] of text.matchAll(pattern)) {
    const { pathname } = new URL(name, new URL(base, 'http://mall'));
    if (named.has(pathname)) continue;
    named.add(pathname);
    if (pathname.endsWith('.js')) {
      follow(readFileSync(join(DIST, pathname), 'utf8'), /(?:^|[;}])(?:import|export)[^;()]*?["'](\.[^"']+)["']/g, pathname);
    }
  }
};
follow(readFileSync(join(DIST, 'index.html'), 'utf8'), /(?:src|href)="(\/[^"]+\.(?:js|css))"/g, '/');
let failed = false;
for (const [kind, limit] of [['js', JS_BYTES_MAX], ['css', CSS_BYTES_MAX]]) {
  const bytes = [...named]
    .filter((path) => path.endsWith(`.${kind}`))
    .reduce((sum, path) => sum + sizes.get(path), 0);
  const holds = bytes > 0 && bytes <= limit;
  failed ||= !holds;
  console.log(`first route ${kind}: ${bytes} of ${limit} bytes brotli${holds ? '' : ': over the budget'}`);
}
process.exitCode = failed ? 1 : 0;
