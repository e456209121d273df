import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { repository } from '../../../local/paths.ts'

/** Everything that is downloaded or unpacked lies here, git-ignored, and is used again by the next run. */
export const cache = join(repository, '.openledger-bench')

/** Ends every row of a corpus file; never a byte of UTF-8. */
export const ROW_END = 0xff

interface Source {
  /** Debian packages by name; the first that the machine's release has. */
  packages: string[]
  files: RegExp
  /** Paths inside a tarball that the package ships. */
  tarball?: { file: RegExp; members: string[] }
}

const PROSE: Source[] = [
  { packages: ['anarchism'], files: /\/markdown\/.*\.md(\.gz)?$/ },
  { packages: ['git-doc'], files: /\.txt$/ },
  { packages: ['python3.11-doc', 'python3.13-doc'], files: /\.txt$/ },
  { packages: ['dict-gcide'], files: /\.dict\.dz$/ },
]
const DOCS_AND_SOURCE: Source[] = [
  ...PROSE,
  { packages: ['perl-doc'], files: /\.pod$/ },
  { packages: ['linux-doc-6.1', 'linux-doc-6.12'], files: /\/Documentation\/.*\.(rst|txt|yaml)(\.gz)?$/ },
  {
    packages: ['linux-source-6.1', 'linux-source-6.12'],
    files: /\.c$/,
    tarball: {
      file: /linux-source-.*\.tar\.xz$/,
      members: ['*/kernel/*.c', '*/mm/*.c', '*/fs/*.c', '*/net/*.c', '*/sound/*.c'],
    },
  },
]

/** English prose, manuals and a dictionary; or that and the Linux kernel's documentation and source. */
const SOURCES = { english: PROSE, mixed: DOCS_AND_SOURCE }
export type CorpusName = keyof typeof SOURCES

/** Rows are paragraphs, joined until they have this many bytes, so that an output of 2,200 bytes can stand in one. */
const ROW_BYTES = 3_000

/**
 * Rows of one corpus up to `bytes`, each ended by ROW_END, out of Debian packages by `apt-get download`: the same
 * packages give the same bytes. Throws, saying why, where there is no apt.
 */
export const corpus = (name: CorpusName, bytes: number): { text: Buffer; packages: string[] } => {
  const file = join(cache, 'corpora', `${name}-${bytes}`)
  if (!existsSync(`${file}.json`)) make(name, bytes, file)
  return { text: readFileSync(`${file}.rows`), packages: JSON.parse(readFileSync(`${file}.json`, 'utf8')) }
}

const make = (name: CorpusName, bytes: number, file: string): void => {
  const rows: Buffer[] = []
  const packages: string[] = []
  let total = 0
  for (const source of SOURCES[name]) {
    if (total >= bytes) break
    const { folder, version } = unpacked(source)
    packages.push(version)
    for (const path of filesUnder(folder).filter((path) => source.files.test(path)))
      for (const row of rowsOf(path)) {
        if (total >= bytes) break
        rows.push(row, Buffer.of(ROW_END))
        total += row.length
      }
  }
  if (total < bytes) throw new Error(`the packages of ${name} hold ${total} bytes, not ${bytes}`)
  mkdirSync(join(cache, 'corpora'), { recursive: true })
  writeFileSync(`${file}.rows`, Buffer.concat(rows))
  writeFileSync(`${file}.json`, JSON.stringify(packages))
}

/** Downloads the package by apt (not installed, no root needed) and unpacks it into the cache. */
const unpacked = (source: Source): { folder: string; version: string } => {
  const deb = downloaded(source.packages)
  const version = execFileSync('dpkg-deb', ['-f', deb, 'Package', 'Version'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.replace(/^\w+: /, ''))
    .join(' ')
  const folder = deb.replace(/\.deb$/, '')
  if (existsSync(folder)) return { folder, version }
  const unfinished = `${folder}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  execFileSync('dpkg-deb', ['-x', deb, unfinished])
  if (source.tarball) {
    const { file, members } = source.tarball
    const tarball = filesUnder(unfinished).find((path) => file.test(path))!
    execFileSync('tar', ['-xJf', tarball, '-C', unfinished, '--wildcards', ...members])
    rmSync(tarball)
  }
  renameSync(unfinished, folder)
  return { folder, version }
}

/** A package's .deb in the cache; throws where apt or all of the names are missing. */
export const downloaded = (names: readonly string[]): string => {
  const folder = join(cache, 'debian')
  mkdirSync(folder, { recursive: true })
  for (const name of names) {
    const find = () => readdirSync(folder).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'))
    if (!find()) {
      process.stderr.write(`apt-get download ${name}\n`)
      const { error } = spawnSync('apt-get', ['download', name], { cwd: folder, stdio: 'ignore', timeout: 600_000 })
      if (error) throw new Error(`apt-get: ${error.message}`)
    }
    const deb = find()
    if (deb) return join(folder, deb)
  }
  throw new Error(`apt-get knows no package ${names.join(' or ')} (run apt-get update)`)
}

/** All plain files, ordered by path; what a symbolic link leads to would be there twice. */
const filesUnder = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => join(realpathSync(folder), path))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() && realpathSync(path) === path)
    .sort()

function* rowsOf(path: string): Generator<Buffer> {
  const bytes = readFileSync(path)
  const text = (/\.(gz|dz)$/.test(path) ? gunzipSync(bytes) : bytes).toString('utf8')
  // A stray byte becomes U+FFFD; a file full of them is no UTF-8. NUL is sdsl's own.
  if (text.split('\uFFFD').length > 1 + text.length / 1000 || text.includes('\0')) return
  let row = ''
  for (const paragraph of text.split(/\n{2,}/)) {
    row += row ? `\n\n${paragraph}` : paragraph
    if (row.length < ROW_BYTES) continue
    yield Buffer.from(row)
    row = ''
  }
  if (row.trim()) yield Buffer.from(row)
}
