import { Recipe, type Training } from '../../../functions/schema/models.ts'

export const hex = (digit: string, count = 24): string => digit.repeat(count)

export const recipe = (changes: Record<string, unknown> = {}): Recipe =>
  Recipe.parse({
    name: 'example/legal',
    baseId: 'openledger-docs-4m',
    datanets: [{ id: `dn_${hex('a')}`, version: 2 }],
    price: { inputPer1000: '10', outputPer1000: '20' },
    split: { ownerBps: 2000, stakersBps: 0, contributorsBps: 8000 },
    ...changes,
  })

export const training = (changes: Partial<Training> = {}): Training => ({
  id: `trn_${hex('1')}`,
  owner: `acc_${hex('b')}`,
  recipe: recipe(),
  state: 'training',
  attempt: 1,
  quote: '5',
  pricePerSecond: '3',
  worstCost: '10800',
  createdAt: '2026-11-23T00:00:00.000Z',
  updatedAt: '2026-11-23T00:00:00.000Z',
  ...changes,
})

export const manifest = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  format: 'openledger-adapter',
  formatVersion: 1,
  trainingId: `trn_${hex('1')}`,
  base: { id: 'openledger-docs-4m', digest: hex('c', 64), positions: 1024 },
  datanets: [{ id: `dn_${hex('a')}`, version: 2, root: '0xaa', rows: 9, heldOutRows: 1, trainedTokens: 321 }],
  metrics: { steps: 12, trainLoss: '1.5' },
  influence: { storeDigest: hex('d', 64), rows: 9 },
  scorecard: { confidence: 1000 },
  files: [
    { name: 'adapter_config.json', sha256: hex('e', 64), bytes: 10 },
    { name: 'influence/rows.safetensors', sha256: hex('f', 64), bytes: 20 },
  ],
  ...changes,
})

export const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
