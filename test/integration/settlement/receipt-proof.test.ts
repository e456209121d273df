import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClosedEpoch, closeEpoch } from '../../../functions/settlement/epoch/close-epoch.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { hex } from '../../../functions/settlement/epoch/merkle-tree.ts'
import { effectOf } from '../../../functions/settlement/epoch/receipt-proof.ts'
import { receiptPosition } from '../../../functions/settlement/epoch/receipts-tree.ts'
import { verify } from '../../../local/commands/epoch/verify.ts'
import { bytesOf, inputsFor, logOf, makeReceipt } from '../../unit/epoch/epoch-factory.ts'
import { LocalChain } from './local-chain.ts'

const folder = mkdtempSync(join(tmpdir(), 'receipt-proof-'))
const receipts = [1, 2, 3].map((name) => makeReceipt({ name, provenance: [['x', 'ann', 600n]], totalBits: 1000n }))
const command = join(import.meta.dirname, '../../../local/commands/epoch.ts')
let chain: LocalChain
let closed: ClosedEpoch

beforeAll(async () => {
  chain = await LocalChain.start(50)
  await chain.deposit(1_000n * 10n ** 18n)
  const source = {
    inputs: bytesOf(inputsFor(receipts)),
    previousBalances: new Uint8Array(),
    objects: [logOf(receipts)],
  }
  closed = await closeEpoch(source, await loadKeccak())
})
afterAll(() => {
  chain?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The proof as GET /receipts/{id}/proof gives it, from the files of the closed epoch. */
const proof = () => {
  const receipt = receipts[0]!
  const { receiptsRoot, root, dataHash, number } = closed.epoch
  const index = receiptPosition(closed.files.get('receipts/ids.bin')!, receipt.billing.receiptId)
  const siblings = [0, 1].map((level) => {
    const nodes = closed.files.get(`receipts/level-${level}.bin`)!
    const at = (Math.floor(index / 2 ** level) ^ 1) * 32
    return hex(at < nodes.length ? nodes.subarray(at, at + 32) : new Uint8Array(32))
  })
  return {
    ...{ format: 'openledger-receipt-proof-1', epoch: number, receiptsRoot, root, dataHash, receipt, index, siblings },
    effect: effectOf(receipt),
    chain: { chainId: 31_337, settlement: chain.deployment.contracts.settlement },
  }
}
const file = join(folder, 'proof.json')
const check = (what: object, settlement?: string) => {
  writeFileSync(file, JSON.stringify(what))
  return verify({ proof: file, rpc: chain.rpcUrl, settlement })
}

test('a receipt proves itself against the chain, while its epoch is pending and when it is active', async () => {
  await expect(check(proof())).rejects.toMatchObject({ code: 'wrong-proof' }) // not yet proposed
  const { number, prevRoot, root, total, receiptsRoot, dataHash, debits } = closed.epoch
  const settlement = chain.settlement.connect(chain.settler) as typeof chain.settlement
  await (await settlement['propose']!(number, prevRoot, root, total, receiptsRoot, dataHash, debits)).wait()
  expect(await check(proof())).toMatchObject({ ok: true, result: { chain: { chainId: 31_337, state: 'pending' } } })
  await chain.mine(1, 60)
  await (await chain.settlement['activate']!(number, root)).wait()

  // The command as it is typed.
  writeFileSync(file, JSON.stringify(proof()))
  const args = [command, 'verify', '--proof', file, '--rpc', chain.rpcUrl]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  const last = JSON.parse(stdout.trim().split('\n').at(-1)!)
  expect(last).toMatchObject({ valid: true, epoch: 1, chain: { chainId: 31_337, state: 'active' } })
})

test('another contract, another chain, another root or no contract at all prove nothing', async () => {
  const { token, settlement } = chain.deployment.contracts
  await expect(check(proof(), token)).rejects.toThrow()
  await expect(check(proof(), `0x${'1'.repeat(40)}`)).rejects.toThrow('no settlement contract')
  await expect(check({ ...proof(), chain: { chainId: 1, settlement } })).rejects.toThrow('is for chain 1')
  await expect(check({ ...proof(), dataHash: `0x${'7'.repeat(64)}` })).rejects.toThrow('dataHash of epoch 1')
})
