/** Loads a copy of a pure room with one line of its rule changed, to show that a property sees the change. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Mutation {
  /** Path below the room, the exact text to replace (must stand there once) and what to put there. */
  file: string
  from: string
  to: string
}

const root = join(import.meta.dirname, '../../..')
// Inside the package, so that `#schema/*` resolves, and ignored by git.
const place = join(import.meta.dirname, '.mutants')
let count = 0

export const mutatedRoom = (room: string, mutations: readonly Mutation[]): { folder: string; remove: () => void } => {
  const folder = join(place, `${process.pid}-${count++}`)
  mkdirSync(dirname(folder), { recursive: true })
  cpSync(join(root, room), folder, { recursive: true })
  for (const { file, from, to } of mutations) {
    const path = join(folder, file)
    const source = readFileSync(path, 'utf8')
    if (source.split(from).length !== 2) throw new Error(`${file} must hold exactly once: ${from}`)
    writeFileSync(
      path,
      source.replace(from, () => to),
    )
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export const load = async <Module>(folder: string, file: string): Promise<Module> =>
  (await import(/* @vite-ignore */ pathToFileURL(join(folder, file)).href)) as Module
