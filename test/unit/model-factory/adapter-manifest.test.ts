import { describe, expect, it } from 'vitest'
import { adapterRecord, checkManifest, readCosts } from '../../../functions/model-factory/adapter-manifest.ts'
import { Adapter } from '../../../functions/schema/models.ts'
import { bytesOf, hex, manifest, recipe, training } from './recipes.ts'

const check = (changes: Record<string, unknown>) => () => checkManifest(bytesOf(manifest(changes)), training())
const file = (name: string) => ({ name, sha256: hex('e', 64), bytes: 1 })

describe('manifest of a training job', () => {
  it('becomes the adapter of its recipe', () => {
    const record = adapterRecord(
      hex('9', 32),
      checkManifest(bytesOf(manifest()), training()),
      training(),
      training().createdAt,
    )
    expect(Adapter.parse(record)).toEqual(record)
    expect(record).toMatchObject({
      name: 'example/legal',
      owner: training().owner,
      confidence: 1000,
      influenceDigest: hex('d', 64),
      maxTokens: 1024,
      datanets: [{ id: `dn_${hex('a')}`, version: 2, root: '0xaa', trainedTokens: 321 }],
    })
  })
  it('comes with what the job took, which is not part of its digest; a bad costs.json is none', () => {
    const costs = { jobSeconds: 61.5, fitCpuSeconds: 7.25, storeBytes: 40_000 }
    const made = (text: string) =>
      adapterRecord(
        hex('9', 32),
        checkManifest(bytesOf(manifest()), training()),
        training(),
        '',
        readCosts(Buffer.from(text)),
      )
    expect(made(JSON.stringify(costs)).costs).toEqual(costs)
    for (const bad of ['{', '[]', '{"jobSeconds":-1}', '{"jobSeconds":"1"}', '{"price":1}'])
      expect(made(bad).costs).toBeNull()
  })
  it('of another job, base or Datanet version is refused', () => {
    expect(check({ trainingId: `trn_${hex('2')}` })).toThrow('manifest.json is of trn_2')
    expect(check({ base: { id: 'other', digest: hex('c', 64), positions: 1024 } })).toThrow('manifest.json is on other')
    const [datanet] = manifest()['datanets'] as object[]
    expect(check({ datanets: [{ ...datanet, version: 1 }] })).toThrow('@1')
    expect(check({ datanets: [datanet, { ...datanet, id: `dn_${hex('c')}` }] })).toThrow(
      'manifest.json is on the Datanets',
    )
    expect(() =>
      checkManifest(
        bytesOf(manifest()),
        training({ recipe: recipe({ datanets: [{ id: `dn_${hex('a')}`, version: 3 }] }) }),
      ),
    ).toThrow('@2')
  })
  it.each(['weights.bin', 'a/b/c.json', '../up.json', 'manifest.json', 'checkpoint.pt', 'run.py'])(
    'that lists %s is refused',
    (name) => expect(check({ files: [file(name)] })).toThrow('manifest.json'),
  )
  it('that lists a file twice, or is no manifest, is refused', () => {
    expect(check({ files: [file('a.json'), file('a.json')] })).toThrow('a.json')
    expect(check({ format: 'else' })).toThrow('manifest.json: format')
    expect(() => checkManifest(Buffer.from('{'), training())).toThrow('manifest.json is not JSON')
  })
  it('without influence gives it no weight; without a measurement, a quarter', () => {
    const confidence = (changes: Record<string, unknown>) =>
      adapterRecord('x', check(changes)() as never, training(), '').confidence
    expect(confidence({ influence: null })).toBe(0)
    expect(confidence({ scorecard: null })).toBe(1 << 18)
    expect(confidence({ scorecard: { confidence: 0 } })).toBe(0)
  })
})
