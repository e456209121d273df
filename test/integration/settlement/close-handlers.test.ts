/** The last steps of the close as deployed: their handlers on the embedded AWS and a real chain. */
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms'
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Balances } from '../../../functions/ledger/balances.store.ts'
import { ledgerClient } from '../../../functions/ledger/ledger-table.store.ts'
import { Movements } from '../../../functions/ledger/movements.store.ts'
import { closeEpoch } from '../../../functions/settlement/epoch/close-epoch.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import {
  checkSignature,
  ReceiptKey,
  ReceiptsSignature,
} from '../../../functions/settlement/epoch/receipts-signature.ts'
import { account, address, bytesOf, inputsFor, logOf, makeReceipt } from '../../unit/epoch/epoch-factory.ts'
import { type LedgerBed, ledgerBed } from '../ledger/ledger-bed.ts'
import { LocalChain } from './local-chain.ts'

const receipt = makeReceipt({ name: 1, provenance: [['x', 'ann', 600n]], totalBits: 1000n })
const fee = BigInt(receipt.billing.fee)
let bed: LedgerBed
let chain: LocalChain
let bucket: S3Client

beforeAll(async () => {
  ;[bed, chain] = await Promise.all([ledgerBed(), LocalChain.start(2)])
  await bed.table('Ledger')
  bucket = await bed.bucket('receipts')
  const made = await new KMSClient(bed.client).send(
    new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }),
  )
  const { contracts, codeHashes } = chain.deployment
  const environment = {
    ...{ AWS_ENDPOINT_URL: bed.client.endpoint, AWS_REGION: bed.client.region, AWS_ACCESS_KEY_ID: 'test' },
    ...{ AWS_SECRET_ACCESS_KEY: 'test', LEDGER_TABLE: 'Ledger', RECEIPTS_BUCKET: 'receipts', CHAIN_ID: '31337' },
    ...{ CHAIN_RPC_URL: chain.rpcUrl, ESCROW_ADDRESS: contracts.escrow, ESCROW_CODE_HASH: codeHashes['escrow']! },
    ...{ FINALITY_BLOCKS_TAG: 'latest', RECEIPTS_KEY_ID: made.KeyMetadata!.Arn!, PAST_RECEIPT_KEYS: '[]' },
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  chain?.stop()
  await bed?.stop()
})

test('an uncovered epoch stops before its record; a covered one is recorded, signed and refunded, once', async () => {
  const address = chain.client.address.toLowerCase()
  const payer = account('client')
  const inputs = inputsFor([receipt])
  const accounts = inputs.accounts.map((entry) => (entry.accountId === payer ? { ...entry, address } : entry))
  const source = {
    inputs: bytesOf({ ...inputs, accounts }),
    previousBalances: new Uint8Array(),
    objects: [logOf([receipt])],
  }
  const { epoch, files } = await closeEpoch(source, await loadKeccak())
  for (const [name, Body] of files)
    if (!name.includes('level-'))
      await bucket.send(new PutObjectCommand({ Bucket: 'receipts', Key: `epochs/1/${name}`, Body }))
  const table = ledgerClient(bed.raw)
  const [movements, balances] = [new Movements('Ledger', table), new Balances('Ledger', table)]
  const reconcile = (await import('../../../functions/settlement/reconcile-escrow.handler.ts')).handler
  const record = (await import('../../../functions/settlement/close-epoch-record.handler.ts')).handler

  await expect(reconcile({ epoch: 1 })).rejects.toMatchObject({ name: 'EscrowDeficit' })
  await chain.deposit(fee * 2n)
  await movements.creditDeposit(address, payer, fee * 2n, 'a')
  expect(await reconcile({ epoch: 1 })).toMatchObject({ clients: 1, surplus: '0' })
  await movements.creditDeposit(address, payer, 1n, 'a deposit that never was')
  await expect(reconcile({ epoch: 1 })).rejects.toThrow(`credited ${fee * 2n + 1n}, deposited ${fee * 2n}`)

  const refunds = BigInt(epoch.refunds)
  expect(refunds).toBeGreaterThan(0n)
  // An epoch that would give back what was never spent is not done.
  await expect(record({ epoch: 1 })).rejects.toMatchObject({ code: 'wrong-state' })
  const request = { receiptId: receipt.billing.receiptId, accountId: payer, amount: fee }
  const hold = await balances.reserve({ ...request, expires: 2_000_000_000, now: 1_800_000_000 })
  await balances.settle(hold, (position) => ({ ...receipt.billing, ...position }))
  expect(await record({ epoch: 1 })).toEqual({ epoch: 1, state: 'closed' })
  await record({ epoch: 1 })
  expect(await balances.balance(payer)).toMatchObject({ available: fee + 1n + refunds, spent: fee - refunds })

  const { currentKey } = await import('../../../functions/settlement/receipts-signer.client.ts')
  const key = ReceiptKey.parse(await currentKey(process.env['RECEIPTS_KEY_ID']!))
  const { EpochLog } = await import('../../../functions/settlement/epoch/epoch-log.store.ts')
  const { Objects } = await import('../../../functions/registry/objects.store.ts')
  const signature = ReceiptsSignature.parse(await new EpochLog(new Objects('receipts', bucket)).signature(1))
  checkSignature({ epoch: 1, receiptsRoot: epoch.receiptsRoot, dataHash: epoch.dataHash }, signature, [key])
})

test('a vetoed epoch is closed again by an operator: to the same root, or to another while nothing stands on it', async () => {
  const { Epochs } = await import('../../../functions/ledger/epochs.store.ts')
  const { EpochLog } = await import('../../../functions/settlement/epoch/epoch-log.store.ts')
  const { Objects } = await import('../../../functions/registry/objects.store.ts')
  const epochs = new Epochs('Ledger', ledgerClient(bed.raw))
  const objects = new Objects('receipts', bucket)
  const log = new EpochLog(objects)
  const calculate = (await import('../../../functions/settlement/close-epoch-calculate.handler.ts')).handler
  const record = (await import('../../../functions/settlement/close-epoch-record.handler.ts')).handler
  const balances = new Balances('Ledger', ledgerClient(bed.raw))
  const before = await balances.balance(account('client'))
  const first = (await epochs.find(1))!
  const fixAll = async (inputs: Parameters<typeof bytesOf>[0], options: { first: boolean; again: boolean }) =>
    log.fix(1, ['receipt-log/epoch=1/a.jsonl'], bytesOf(inputs), options)
  await objects.put('receipt-log/epoch=1/a.jsonl', logOf([receipt]).bytes)
  const inputs = inputsFor([receipt])
  const changed = {
    ...inputs,
    closedAt: '2026-01-03T00:00:00.000Z',
    accounts: inputs.accounts.slice(0, -1).concat({ ...inputs.accounts.at(-1)!, address: address('another') }),
  }

  // Not vetoed: nothing of a closed epoch can be replaced.
  await expect(fixAll(changed, { first: false, again: false })).rejects.toMatchObject({ code: 'wrong-state' })
  await epochs.setState(1, 'vetoed', 0)
  await record({ epoch: 1 })
  expect(await epochs.find(1)).toMatchObject({ state: 'vetoed' }) // a close without the operator's word leaves it so

  await record({ epoch: 1, again: true })
  expect(await epochs.find(1)).toEqual({ ...first, state: 'closed', reopened: 1 })
  await record({ epoch: 1, again: true }) // repeated by the flow
  expect(await epochs.find(1)).toMatchObject({ reopened: 1 })
  // A settler that still knows the first round cannot mark the second.
  await expect(epochs.setState(1, 'vetoed', 0)).rejects.toMatchObject({ code: 'conflict' })

  await epochs.setState(1, 'vetoed', 1)
  await fixAll(changed, { first: false, again: true })
  await expect(calculate({ epoch: 1 })).rejects.toMatchObject({ code: 'conflict' })
  const { root } = await calculate({ epoch: 1, again: true })
  expect(root).not.toBe(first.root)
  await record({ epoch: 1, again: true })
  expect(await epochs.find(1)).toMatchObject({ root, state: 'closed', reopened: 2 })
  const signature = (await log.signature(1))!
  const { currentKey } = await import('../../../functions/settlement/receipts-signer.client.ts')
  const key = ReceiptKey.parse(await currentKey(process.env['RECEIPTS_KEY_ID']!))
  checkSignature({ ...(await log.closed(1))!, epoch: 1 }, signature, [key])
  expect(await balances.balance(account('client'))).toEqual(before) // refunds are given once

  // With a later epoch on top only the same root passes.
  await epochs.setState(1, 'vetoed', 2)
  await objects.put(
    'receipt-log/epoch=2/epoch-inputs.json',
    bytesOf({ ...inputs, epoch: 2, previous: { ...inputs.previous, epoch: 1, balances: 'a'.repeat(64) } }),
  )
  await expect(fixAll(inputs, { first: false, again: true })).rejects.toThrow('stands on epoch 1')
  await calculate({ epoch: 1, again: true })
  await objects.put('receipt-log/epoch=1/epoch-inputs.json', bytesOf(inputs))
  await expect(calculate({ epoch: 1, again: true })).rejects.toThrow('stands on epoch 1')
})
