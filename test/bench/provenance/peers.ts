import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { findInterpreter } from '../../../local/setup/interpreter.ts'
import { cache, downloaded } from './corpora.ts'
import type { Engine } from './measure.ts'

const sources = join(import.meta.dirname, 'peers')
const engineFile = join(import.meta.dirname, 'engine.ts')
const NODE = [process.execPath, '--max-old-space-size=16000', engineFile] as const

export const ours: Engine = {
  build: (rows, index) => [[...NODE, 'build', rows, index]],
  query: (_, index, files) => [...NODE, 'query', index, ...files],
}

export interface Peer {
  name: string
  /** Sees to it that the peer is there; throws saying why it cannot be. */
  install: () => Promise<Engine>
  /** Does it tell which rows hold a span? */
  owners: boolean
}

export const peers: Peer[] = [
  {
    name: 'sdsl 2.1.1 FM-index (infini-gram mini: wt_huff, rrr 127, 32, 64), same skipping',
    owners: true,
    install: async () => {
      const program = compiled('fm_index', sdslFlags())
      return {
        build: (rows, index) => [[program, 'build', rows, index, mkdtempSync(`${index}-`)]],
        query: (_, index, files) => [program, 'query', index, ...files],
      }
    },
  },
  {
    name: 'infini-gram 2.6.0, bytes as tokens, attribute(min_len=32), no owners',
    owners: false,
    install: async () => {
      const python = await venv()
      const script = join(sources, 'ask_infini_gram.py')
      return {
        build: (rows, index) => [[python, script, 'build', rows, index]],
        query: (_, index, files) => [python, script, 'query', index, ...files],
      }
    },
  },
  {
    name: 'suffix array by pydivsufsort 0.0.20, with the text, in memory',
    owners: true,
    install: async () => {
      const python = await venv()
      const program = compiled('suffix_array', [])
      return {
        build: (rows, index) => [[python, join(sources, 'suffix_array.py'), rows, index]],
        query: (rows, index, files) => [program, rows, index, ...files],
      }
    },
  },
]

/** A Python environment for the peers alone. */
const venv = async (): Promise<string> => {
  const folder = join(cache, 'venv')
  const python = join(folder, 'bin', 'python')
  if (existsSync(join(folder, 'ready'))) return python
  process.stderr.write('pip install infini-gram pydivsufsort\n')
  execFileSync((await findInterpreter()).command, ['-m', 'venv', folder])
  execFileSync(python, ['-m', 'pip', 'install', '-q', 'infini-gram==2.6.0', 'pydivsufsort==0.0.20', 'numpy'], {
    stdio: 'ignore',
  })
  mkdirSync(join(folder, 'ready'))
  return python
}

const compiled = (name: string, flags: string[]): string => {
  const program = join(cache, name)
  const file = join(sources, `${name}.cpp`)
  const options = ['-O3', '-march=native', '-DNDEBUG', '-std=c++17', '-w', file, '-o', program]
  const { status, error, stderr } = spawnSync('g++', [...options, ...flags], { encoding: 'utf8' })
  if (error || status !== 0)
    throw new Error(`g++: ${error?.message ?? stderr.match(/error: .*/)?.[0] ?? stderr.slice(-300)}`)
  return program
}

/** Debian's sdsl and libdivsufsort, unpacked into the cache; nothing is installed. */
const sdslFlags = (): string[] => {
  const folder = join(cache, 'sdsl')
  if (!existsSync(folder))
    for (const name of ['libsdsl-dev', 'libdivsufsort-dev', 'libdivsufsort3'])
      execFileSync('dpkg-deb', ['-x', downloaded([name]), folder])
  const triplet = execFileSync('g++', ['-print-multiarch'], { encoding: 'utf8' }).trim()
  const libraries = join(folder, 'usr', 'lib', triplet)
  const shared = ['-ldivsufsort', '-ldivsufsort64', `-Wl,-rpath,${libraries}`]
  const include = join(folder, 'usr', 'include')
  return [`-I${include}`, `-I${join(include, triplet)}`, `-L${libraries}`, join(libraries, 'libsdsl.a'), ...shared]
}
