import { expect, test } from 'vitest'
import { TRAINING_ATTRIBUTION } from '../../../functions/attribution/training-receipt.ts'
import type { Receipt } from '../../../functions/schema/receipt.ts'
import { closeEpoch } from '../../../functions/settlement/epoch/close-epoch.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { account, bytesOf, inputsFor, logOf, makeReceipt } from './epoch-factory.ts'

/** The receipt of a training by `builder`, beside answers that others paid for. */
const training = (platformFee = '300'): Receipt => {
  const { billing, ...rest } = makeReceipt({
    name: 'training',
    payer: 'builder',
    owner: 'builder',
    prompt: 0,
    completion: 0,
  })
  return {
    ...rest,
    billing: {
      ...billing,
      training: { trainingId: `trn_${'1'.repeat(24)}`, attempt: 1, seconds: 100, pricePerSecond: '3' },
      platformFee,
      fee: platformFee,
    },
    attribution: TRAINING_ATTRIBUTION,
  }
}
const answer = makeReceipt({ name: 'answer', provenance: [['x', 'ann', 600n]], totalBits: 1000n, influence: [] })
const close = async (receipts: Receipt[]) =>
  closeEpoch(
    { inputs: bytesOf(inputsFor(receipts)), previousBalances: new Uint8Array(), objects: [logOf(receipts)] },
    await loadKeccak(),
  )

test('a training is a platform line in both calculators, and the debits are the lines', async () => {
  const { epoch, files } = await close([training(), answer])
  const lines = Buffer.from(files.get('lines.jsonl')!)
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const sum = (rows: { amount: string }[]) => rows.reduce((total, { amount }) => total + BigInt(amount), 0n)
  expect(sum(lines)).toBe(BigInt(epoch.debits))
  const platform = lines.filter(({ as }) => as === 'platform')
  expect(sum(platform)).toBe(300n + BigInt(answer.billing.platformFee))
  const charges = Buffer.from(files.get('charges.jsonl')!).toString()
  expect(charges).toContain(account('builder'))
  const alone = await close([answer])
  expect(BigInt(epoch.debits) - BigInt(alone.epoch.debits)).toBe(300n)
})

test('an epoch of trainings alone closes', async () => {
  expect((await close([training()])).epoch).toMatchObject({ debits: '300', refunds: '0', total: '300', payees: 1 })
})

test('a fee that is not seconds x price, or a training with tokens, stops the close', async () => {
  await expect(close([training('301')])).rejects.toMatchObject({ code: 'wrong-fee' })
  const wrong = training()
  wrong.billing.promptTokens = 1
  await expect(close([wrong])).rejects.toMatchObject({ code: 'wrong-fee' })
})
