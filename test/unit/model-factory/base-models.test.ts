import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { baseDigest, checkBaseFiles } from '../../../functions/model-factory/base-models.ts'

const FOLDER = join(import.meta.dirname, '../../../examples/base-model')
const committed = readdirSync(FOLDER).map((name) => {
  const body = readFileSync(join(FOLDER, name))
  return { name, bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') }
})
const without = (name: string) => committed.filter((file) => file.name !== name)

describe('base models', () => {
  it('have the digest that the training image computes, in any order of the files', () => {
    const card = JSON.parse(readFileSync(join(FOLDER, 'base.json'), 'utf8'))
    expect(baseDigest(committed)).toBe(card.digest)
    expect(baseDigest([...committed].reverse())).toBe(card.digest)
    expect(baseDigest([...without('base.json'), { name: '.DS_Store', bytes: 1, sha256: '0'.repeat(64) }])).toBe(
      card.digest,
    )
    expect(baseDigest(without('config.json'))).not.toBe(card.digest)
  })
  it('are refused by the name of what is missing', () => {
    expect(() => checkBaseFiles(committed)).not.toThrow()
    expect(() => checkBaseFiles(without('tokenizer.json'))).toThrow('tokenizer.json missing')
    expect(() => checkBaseFiles(without('unigram.bin'))).toThrow('unigram.bin missing')
    expect(() => checkBaseFiles(without('model.safetensors'))).toThrow('no *.safetensors weights')
    expect(() => checkBaseFiles([...committed, committed[0]!])).toThrow('a name stands twice')
  })
  it('may not bring pickles; the unigram table is not one', () => {
    const pickle = { name: 'pytorch_model.bin', bytes: 1, sha256: '0'.repeat(64) }
    expect(() => checkBaseFiles([...committed, pickle])).toThrow('pytorch_model.bin may hold code')
    expect(committed.some(({ name }) => name === 'unigram.bin')).toBe(true)
  })
})
