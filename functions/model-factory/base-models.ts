import { createHash } from 'node:crypto'
import { OpenLedgerError } from '#schema/errors'
import type { BaseModel } from '#schema/models'

const CARD = 'base.json'
const NEEDED = ['config.json', 'tokenizer.json']

/** Key of a base model's file in the models bucket. */
export const baseKey = (baseId: string, name: string): string => `bases/${baseId}/${name}`

/**
 * The digest by which a base model is known: sha256 over the lines `<sha256>  <name>\n` of its files in the order of
 * their names, without base.json and hidden files. The training image computes the same (fine_tune/digest.py).
 */
export const baseDigest = (files: BaseModel['files']): string => {
  const counted = files.filter(({ name }) => name !== CARD && !name.split('/').some((part) => part.startsWith('.')))
  const lines = counted
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, sha256 }) => `${sha256}  ${name}\n`)
    .join('')
  return createHash('sha256').update(lines).digest('hex')
}

/** Refuses a set of files that no image could load, naming what is missing. */
export const checkBaseFiles = (files: BaseModel['files']): void => {
  const names = new Set(files.map(({ name }) => name))
  if (names.size !== files.length)
    throw new OpenLedgerError('invalid-request', 'files: a name stands twice', { param: 'files' })
  const missing = NEEDED.filter((name) => !names.has(name))
  if (missing.length > 0)
    throw new OpenLedgerError(
      'invalid-request',
      `files: ${missing.join(', ')} missing (a Hugging Face folder is needed)`,
      { param: 'files' },
    )
  if (!names.has('unigram.bin'))
    throw new OpenLedgerError(
      'invalid-request',
      'files: unigram.bin missing; make it with `python -m fine_tune.base_model unigram DIR`',
      { param: 'files' },
    )
  if (![...names].some((name) => name.endsWith('.safetensors')))
    throw new OpenLedgerError('invalid-request', 'files: no *.safetensors weights', { param: 'files' })
  const pickles = [...names].filter((name) => /\.(bin|pt|pth|pkl)$/.test(name) && name !== 'unigram.bin')
  if (pickles.length > 0)
    throw new OpenLedgerError('invalid-request', `files: ${pickles[0]} may hold code; bring safetensors only`, {
      param: 'files',
    })
}
