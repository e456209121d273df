import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { fromHex, hex, proofOf, rootOf } from '../../../functions/settlement/epoch/merkle-tree.ts'
import { effectOf } from '../../../functions/settlement/epoch/receipt-proof.ts'
import { signedMessage } from '../../../functions/settlement/epoch/receipts-signature.ts'
import { receiptLeaf, receiptPosition, receiptsTree } from '../../../functions/settlement/epoch/receipts-tree.ts'
import { bytesOf, inputsFor, lineOf, logOf, makeReceipt } from './epoch-factory.ts'

const root = join(import.meta.dirname, '../../..')
const epoch = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'local/commands/epoch.ts'), ...args], {
    encoding: 'utf8',
  })
  return { status, stderr, last: stdout.trim().split('\n').at(-1) ?? '' }
}
const receipts = [
  makeReceipt({
    name: 1,
    provenance: [['x', 'ann', 600n]],
    totalBits: 1000n,
    influence: [
      ['x', 'ann', 5n],
      ['z', 'cyd', -3n],
    ],
  }),
  makeReceipt({ name: 2, influence: [['z', 'cyd', 7n]], totalBits: 1000n }),
  makeReceipt({ name: 3, influence: [['z', 'cyd', 7n]], totalBits: 1000n }),
]

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'epoch-'))
  writeFileSync(join(folder, 'epoch-inputs.json'), bytesOf(inputsFor(receipts)))
  writeFileSync(join(folder, 'a.jsonl'), logOf(receipts.slice(0, 1)).bytes)
  writeFileSync(join(folder, 'b.jsonl'), logOf(receipts.slice(1)).bytes)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('npm run epoch -- recompute', () => {
  it('recomputes an epoch, says its root last, and agrees with the published one', () => {
    const out = join(folder, 'out')
    const first = epoch('recompute', '--receipts', folder, '--out', out)
    expect(first.status).toBe(0)
    const result = JSON.parse(first.last)
    expect(result).toMatchObject({ number: 1, receipts: 3 })
    expect(JSON.parse(readFileSync(join(out, 'epoch.json'), 'utf8')).root).toBe(result.root)
    expect(existsSync(join(out, 'tree/level-20.bin'))).toBe(true)
    const again = epoch('recompute', '--receipts', folder, '--out', out, '--root', result.root)
    expect({ status: again.status, matches: JSON.parse(again.last).matches }).toEqual({ status: 0, matches: true })
    const other = epoch('recompute', '--receipts', folder, '--out', out, '--root', `0x${'1'.repeat(64)}`)
    expect({ status: other.status, matches: JSON.parse(other.last).matches }).toEqual({ status: 1, matches: false })
  })

  it('refuses a torn log, names the receipt and writes nothing', () => {
    writeFileSync(join(folder, 'b.jsonl'), logOf(receipts.slice(1)).bytes.subarray(0, -30))
    const { status, last } = epoch('recompute', '--receipts', folder, '--out', join(folder, 'out'))
    expect(status).toBe(1)
    expect(JSON.parse(last).error).toMatchObject({
      code: 'torn-line',
      receiptId: receipts[2]!.billing.receiptId,
      where: 'b.jsonl:2',
    })
    expect(existsSync(join(folder, 'out'))).toBe(false)
  })

  it('says how to use it', () => {
    expect(epoch('recompute').status).toBe(2)
    expect(epoch('recompute', '--nonsense').status).toBe(2)
    expect(epoch().status).toBe(2)
    expect(
      execFileSync(process.execPath, [join(root, 'local/commands/epoch.ts'), '--help'], { encoding: 'utf8' }),
    ).toContain('epoch-inputs.json')
  })
})

describe('npm run epoch -- verify', () => {
  const proofFor = async () => {
    const keccak = await loadKeccak()
    const { tree, ids } = receiptsTree(
      keccak,
      new Map(receipts.map((r) => [r.billing.receiptId, receiptLeaf(keccak, Buffer.from(lineOf(r)))])),
    )
    const receipt = receipts[0]!
    const index = receiptPosition(ids, receipt.billing.receiptId)
    return {
      format: 'openledger-receipt-proof-1',
      epoch: 1,
      receiptsRoot: hex(rootOf(keccak, tree)),
      root: `0x${'2'.repeat(64)}`,
      dataHash: `0x${'3'.repeat(64)}`,
      receipt,
      index,
      siblings: proofOf(keccak, tree, index).map(hex),
      effect: effectOf(receipt),
    }
  }
  const run = (proof: object) => {
    writeFileSync(join(folder, 'proof.json'), JSON.stringify(proof))
    return epoch('verify', '--proof', join(folder, 'proof.json'))
  }

  it('accepts a true proof and refuses it when anything in it is changed', async () => {
    const proof = await proofFor()
    expect(run(proof).status).toBe(0)
    const tampered = [
      { ...proof, index: proof.index ^ 1 },
      { ...proof, receiptsRoot: hex(fromHex(proof.receiptsRoot).map((byte) => byte ^ 1)) },
      { ...proof, receipt: { ...proof.receipt, completedAt: '2026-01-01T00:00:09.000Z' } },
      { ...proof, effect: proof.effect.map((effect) => ({ ...effect, provenance: '1' })) },
      { ...proof, epoch: 2 },
    ]
    for (const each of tampered) {
      const { status, last } = run(each)
      expect({ status, code: JSON.parse(last).error.code }).toEqual({ status: 1, code: 'wrong-proof' })
    }
  })

  it('says who signed the receipts root, by the published keys', async () => {
    const proof = await proofFor()
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = {
      keyId: 'arn:key/1',
      algorithm: 'ECDSA_SHA_256',
      publicKey: pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
      from: '2026-01-01T00:00:00.000Z',
      until: null,
    }
    const at = { keyId: key.keyId, signedAt: '2026-02-01T00:00:00.000Z' }
    const signature = {
      ...{ format: 'openledger-receipts-signature-1', algorithm: 'ECDSA_SHA_256', ...at },
      signature: sign('sha256', signedMessage(proof, at), pair.privateKey).toString('base64'),
    }
    const check = (what: object, keys: unknown, ...more: string[]) => {
      writeFileSync(join(folder, 'proof.json'), JSON.stringify(what))
      writeFileSync(join(folder, 'keys.json'), typeof keys === 'string' ? keys : JSON.stringify(keys))
      const files = ['--proof', join(folder, 'proof.json'), '--keys', join(folder, 'keys.json')]
      const { status, last } = epoch('verify', ...files, ...more)
      const result = JSON.parse(last)
      return status === 0 ? result.signedBy : result.error.code
    }
    const signed = { ...proof, signature }
    expect(check(signed, { items: [key] })).toBe(key.keyId)
    expect(check(proof, { items: [key] })).toBe('wrong-signature')
    expect(check(signed, { items: [] })).toBe('wrong-signature')
    expect(check(signed, { items: [{ ...key, until: at.signedAt }] })).toBe('wrong-signature')
    expect(check({ ...signed, dataHash: proof.root }, { items: [key] })).toBe('wrong-signature')
    expect(check({ ...signed, signature: { ...signature, keyId: 7 } }, { items: [key] })).toBe('wrong-proof')
    expect(check(signed, [key])).toBe('wrong-signature')
    expect(check(signed, '{"items":')).toBe('wrong-signature')
    // An RPC that cannot be asked proves nothing.
    const chain = ['--rpc', 'http://127.0.0.1:9', '--settlement', `0x${'5'.repeat(40)}`]
    expect(check(signed, { items: [key] }, ...chain)).toBe('rpc-failed')
  })
})
