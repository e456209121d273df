import { beforeAll, describe, expect, it } from 'vitest'
import { type AttackResult, runLaboratory } from '../../../local/commands/attack-lab/laboratory.ts'

/** The short form of `npm run attack-lab`: the attacks whose outcome the design fixes. */
describe('attack laboratory, short form', () => {
  let results: Map<string, AttackResult>
  beforeAll(async () => {
    const names = [
      'copies',
      'late copies',
      'six identities',
      'mosaics',
      'self-dealing',
      'wash traffic',
      'prompt stuffing',
    ]
    const list = await runLaboratory({
      seed: 3,
      quick: true,
      progress: () => {},
      only: (name) => names.some((part) => name.includes(part)),
    })
    results = new Map(list.map((result) => [result.attack, result]))
  }, 120_000)
  const find = (part: string) => [...results].find(([name]) => name.includes(part))![1]

  it.each(['copies of own rows', 'late copies', 'six identities'])('%s bring nothing', (attack) => {
    const { ours } = find(attack)
    expect(ours.inflation).toBeLessThanOrEqual(1.05)
    expect(ours.honestLoss).toBeLessThanOrEqual(0.01)
  })
  it('the same copies pay under DataInf and TF-IDF', () => {
    const { datainf, tfidf } = find('copies of own rows')
    expect(Math.min(datainf.inflation, tfidf.inflation)).toBeGreaterThan(1.2)
  })
  it('mosaics take nothing of the provenance credit of earlier authors', () => {
    expect(find('mosaics').ours.provenanceTaken).toBe(0)
  })
  it('self-dealing returns nothing; wash traffic and prompt stuffing return less than they cost', () => {
    expect(find('self-dealing').ours.inflation).toBe(0)
    for (const attack of ['wash traffic', 'prompt stuffing']) {
      expect(find(attack).ours.inflation).toBeLessThanOrEqual(1)
      expect(find(attack).datainf.inflation).toBeGreaterThan(1)
    }
  })
})
