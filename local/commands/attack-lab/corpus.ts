import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Chance, chance } from './chance.ts'

interface Source {
  name: string
  /** Passages of 160 to 480 characters, in order of the text. */
  passages: string[]
}

export interface Corpus {
  /** Contributors' texts: rows to register, and passages kept back for answers. */
  contributors: { name: string; rows: string[]; unseen: string[] }[]
  /** Fixed reference text: base model and token information come from it, never from the Datanet. */
  reference: string[]
}

/** Contributors are licence stewards' texts out of `spdx-license-list`, or the *.txt files of a folder. */
export const readCorpus = (seed: number, contributors: number, rowsEach: number, folder?: string): Corpus => {
  const random = chance(seed)
  const sources = (folder === undefined ? licences() : files(folder)).filter(
    ({ passages }) => passages.length >= rowsEach + 3,
  )
  if (sources.length < contributors + 2)
    throw new Error(`need ${contributors + 2} texts of ${rowsEach + 3} passages, found ${sources.length}`)
  const chosen = unlike(random.shuffled(sources), contributors)
  const names = new Set(chosen.map(({ name }) => name))
  return {
    contributors: chosen.map(({ name, passages }) => {
      const drawn = random.shuffled(passages)
      return { name, rows: drawn.slice(0, rowsEach), unseen: drawn.slice(rowsEach, rowsEach + 3) }
    }),
    reference: referenceOf(
      sources.filter(({ name }) => !names.has(name)),
      random,
    ),
  }
}

const referenceOf = (sources: readonly Source[], random: Chance) =>
  random.shuffled(sources.flatMap(({ passages }) => passages)).slice(0, 400)

/** Takes sources that share few passages' beginnings with those taken before: licences are often versions of another. */
const unlike = (sources: readonly Source[], count: number): Source[] => {
  const taken: Source[] = []
  const seen = new Set<string>()
  for (const source of sources) {
    const grams = source.passages.flatMap(wordGrams)
    if (grams.filter((gram) => seen.has(gram)).length * 10 > grams.length) continue
    for (const gram of grams) seen.add(gram)
    taken.push(source)
    if (taken.length === count) return taken
  }
  throw new Error(`only ${taken.length} of the texts are unlike enough to be contributors`)
}

const wordGrams = (text: string): string[] => {
  const words = text.toLowerCase().split(/\W+/).filter(Boolean)
  return words.slice(0, -7).map((_, i) => words.slice(i, i + 8).join(' '))
}

const licences = (): Source[] => {
  const list = createRequire(import.meta.url)('spdx-license-list/full') as Record<string, { licenseText: string }>
  return Object.entries(list).map(([name, { licenseText }]) => ({ name, passages: passagesOf(licenseText) }))
}

const files = (folder: string): Source[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .map((name) => ({ name, passages: passagesOf(readFileSync(join(folder, name), 'utf8')) }))

/** Cuts a text into passages at sentence ends. */
const passagesOf = (text: string): string[] => {
  const passages: string[] = []
  let open = ''
  for (const sentence of text.replace(/\s+/g, ' ').split(/(?<=[.;:]) /)) {
    open = open ? `${open} ${sentence}` : sentence
    if (open.length < 160) continue
    if (open.length <= 480) passages.push(open)
    open = ''
  }
  return passages
}

export const sentencesOf = (text: string): string[] => text.split(/(?<=[.;:,]) /).filter((part) => part.length >= 40)
