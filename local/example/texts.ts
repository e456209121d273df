import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from '../paths.ts'

/** What one contributor brings, as examples/*.json describes it: texts stay in the installed packages. */
export interface ContributorRecipe {
  name: string
  format: 'jsonl' | 'csv' | 'markdown' | 'prompt-completion'
  rows: number
  sentences: { package: string; licences?: string[]; folders?: string[] }
}
export interface DatanetRecipe {
  name: string
  field: string
  description: string
  licence: { id: string }
  adapter: string
  contributors: ContributorRecipe[]
}

export const datanetRecipe = (name: string): DatanetRecipe =>
  JSON.parse(readFileSync(join(repository, 'examples', `${name}.json`), 'utf8'))

/** Sentences of 90 to 300 characters out of the installed package, spread evenly over it, no two with the same beginning. */
export const sentencesOf = (recipe: ContributorRecipe): string[] => {
  const { package: name, licences, folders } = recipe.sentences
  const root = join(repository, 'node_modules', name)
  const found = licences
    ? licences.flatMap((id) => fromLicence(join(root, 'licenses', `${id}.json`)))
    : (folders ?? []).flatMap((folder) => fromComments(join(root, folder)))
  const beginnings = new Set<string>()
  const distinct = found.filter((sentence) => {
    const beginning = opening(sentence)
    return !beginnings.has(beginning) && beginnings.add(beginning)
  })
  if (distinct.length < recipe.rows)
    throw new Error(`${recipe.name}: only ${distinct.length} sentences of ${recipe.rows} in ${name}`)
  return Array.from({ length: recipe.rows }, (_, i) => distinct[Math.floor((i * distinct.length) / recipe.rows)]!)
}

/** The first seven words: what the example's client begins a question with. */
export const opening = (sentence: string): string => sentence.split(' ').slice(0, 7).join(' ')

const fromLicence = (file: string): string[] => sentences(JSON.parse(readFileSync(file, 'utf8')).licenseText as string)

const fromComments = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.sol'))
    .sort()
    .flatMap((file) => sentences(natspec(readFileSync(join(folder, file), 'utf8'))))

/** Comment blocks as prose: markers, tags and code lines go, a blank line parts two blocks. */
const natspec = (source: string): string =>
  source
    .split('\n')
    .map((line) => line.trim())
    .map((line) => (/^(\*|\/\/\/)/.test(line) ? line.replace(/^(\*+\/?|\/\/\/)\s?/, '') : ''))
    .map((line) => line.replace(/^@(dev|notice|title)\s*/, '\n'))
    .map((line) => (/^(@|`|-|=|#|\||[^A-Za-z]*$)/.test(line) ? '' : line))
    .join('\n')

const sentences = (text: string): string[] =>
  text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .flatMap((paragraph) => paragraph.split(/(?<=[.;])\s+(?=[A-Z])/))
    .map((sentence) => sentence.trim())
    .filter(
      (sentence) =>
        sentence.length >= 90 &&
        sentence.length <= 300 &&
        /^[A-Z][ -~]*$/.test(sentence) &&
        sentence.split(' ').length >= 14,
    )

/** The file that the contributor uploads. */
export const uploadOf = (
  recipe: ContributorRecipe,
  sentences: readonly string[],
): { filename: string; contentType: string; body: Buffer } => {
  const file = (ending: string, contentType: string, text: string) => ({
    filename: `${recipe.name}.${ending}`,
    contentType,
    body: Buffer.from(text),
  })
  switch (recipe.format) {
    case 'jsonl':
      return file('jsonl', 'application/x-ndjson', sentences.map((text) => `${JSON.stringify({ text })}\n`).join(''))
    case 'prompt-completion':
      return file(
        'jsonl',
        'application/x-ndjson',
        sentences.map((text) => `${JSON.stringify({ prompt: chatQuestion(text), completion: text })}\n`).join(''),
      )
    case 'csv':
      return file('csv', 'text/csv', `text\n${sentences.map((text) => `"${text.replaceAll('"', '""')}"\n`).join('')}`)
    case 'markdown':
      return file('md', 'text/markdown', sentences.map((text) => `${text}\n\n`).join(''))
  }
}

export const chatQuestion = (sentence: string): string => `Quote the sentence that begins: ${opening(sentence)}`
