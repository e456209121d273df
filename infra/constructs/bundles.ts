import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildSync } from 'esbuild'

const BANNER =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

/**
 * All handlers in one esbuild run (seconds instead of a process for each), one folder each with index.mjs.
 * The SDK is bundled, which pins it; source maps keep stack traces readable.
 */
export class Bundles {
  readonly #outdir: string
  readonly bytes: Record<string, number> = {}

  constructor(root: string) {
    this.#outdir = mkdtempSync(join(tmpdir(), 'openledger-bundles-'))
    const entryPoints = Object.fromEntries(
      handlersUnder(root).map((door) => [`${door}/index`, join(root, `${door}.handler.ts`)]),
    )
    const { metafile } = buildSync({
      entryPoints,
      outdir: this.#outdir,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      target: 'node24',
      format: 'esm',
      minify: true,
      keepNames: true,
      sourcemap: true,
      sourcesContent: false,
      metafile: true,
      logLevel: 'error',
      mainFields: ['module', 'main'],
      banner: { js: BANNER },
    })
    for (const [path, output] of Object.entries(metafile.outputs)) {
      if (!path.endsWith('.mjs')) continue
      const door = path.slice(path.indexOf(this.#outdir.slice(1)) + this.#outdir.length).replace(/\/index\.mjs$/, '')
      this.bytes[door.replace(/^\//, '')] = output.bytes
    }
  }

  folder(door: string): string {
    const folder = join(this.#outdir, door)
    const map = join(folder, 'index.mjs.map')
    writeFileSync(map, withoutMachinePaths(readFileSync(map, 'utf8')))
    return folder
  }
}

/** `<room>/<verb-noun>` of every handler file. */
const handlersUnder = (root: string): string[] =>
  readdirSync(root, { withFileTypes: true })
    .filter((room) => room.isDirectory())
    .flatMap((room) =>
      readdirSync(join(root, room.name))
        .filter((file) => file.endsWith('.handler.ts'))
        .map((file) => `${room.name}/${file.replace(/\.handler\.ts$/, '')}`),
    )

/** Source paths relative to the bundle would carry the temporary folder's depth into the asset hash. */
const withoutMachinePaths = (map: string): string => {
  const parsed = JSON.parse(map)
  parsed.sources = parsed.sources.map((source: string) => source.replace(/^.*?(functions|node_modules)\//, '$1/'))
  return JSON.stringify(parsed)
}
