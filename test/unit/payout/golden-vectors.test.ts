import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ownParts } from '../../../functions/attribution/payout/own-part.ts'
import { cutPools } from '../../../functions/attribution/payout/pools.ts'
import { creditTokens, type HeldSpan, type SpanPolicy } from '../../../functions/attribution/payout/token-credit.ts'
import { feeOf } from '../../../functions/ledger/fee.ts'
import { closeEpoch } from '../../../functions/settlement/epoch/close-epoch.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { hamilton } from '../../../functions/settlement/epoch/set-calculator.ts'

const folder = join(import.meta.dirname, '../../vectors')
const read = (name: string) => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
const stretch = ([start, end]: [number, number]) => ({ start, end })

describe('golden vectors, made by a third implementation in Python', () => {
  const splits = read('splits')
  it('largest remainder', () => {
    for (const { total, weights, parts } of splits.largestRemainder)
      expect(hamilton(BigInt(total), weights.map(BigInt)).map(String)).toEqual(parts)
  })
  it('net fee', () => {
    for (const { promptTokens, completionTokens, inputPer1000, outputPer1000, net } of splits.net)
      expect(
        String(feeOf({ prompt: promptTokens, completion: completionTokens }, { inputPer1000, outputPer1000 }, 0).net),
      ).toBe(net)
  })
  it('pools of a receipt', () => {
    for (const { net, totalBits, coveredBits, confidence, pools, ...split } of splits.pools) {
      const evidence = {
        totalBits: BigInt(totalBits),
        coveredBits: BigInt(coveredBits),
        confidence: BigInt(confidence),
      }
      const cut = Object.entries(cutPools(BigInt(net), split, evidence)).map(([name, amount]) => [name, String(amount)])
      expect(Object.fromEntries(cut)).toEqual(pools)
    }
  })
  it('token credit', () => {
    for (const { policy, tokens, spans, echoes, verdicts } of read('payout').credit as {
      policy: SpanPolicy
      tokens: [number, number][]
      spans: HeldSpan[]
      echoes: [number, number][]
      verdicts: string[]
    }[]) {
      const found = creditTokens(tokens.map(stretch), spans, echoes.map(stretch), () => policy)
      expect(found.map((verdict) => ('to' in verdict ? verdict.to.cluster : verdict.nobody))).toEqual(verdicts)
    }
  })
  it('own part of a row', () => {
    for (const { texts, own } of read('payout').own as { texts: string[]; own: string[] }[])
      expect(ownParts(texts.map((text) => Buffer.from(text))).map(String)).toEqual(own)
  })
  it('a whole epoch, to the byte', async () => {
    const { inputs, log, expected } = read('receipts')
    const bytes = (text: string) => new Uint8Array(Buffer.from(text))
    const objects = [{ name: 'log.jsonl', bytes: bytes(`${log.join('\n')}\n`) }]
    const closed = await closeEpoch(
      { inputs: bytes(inputs), previousBalances: new Uint8Array(), objects },
      await loadKeccak(),
    )
    const text = (name: string) => Buffer.from(closed.files.get(name)!).toString()
    expect(text('lines.jsonl')).toBe(expected.lines)
    expect(text('charges.jsonl')).toBe(expected.charges)
    expect(text('sums.jsonl')).toBe(expected.sums)
    expect(Buffer.from(closed.files.get('balances.bin')!).toString('hex')).toBe(expected.posted.balances)
    const { root, total, unassigned, receiptsRoot, dataHash } = closed.epoch
    expect({ root, total, unassigned, receiptsRoot, dataHash }).toEqual({
      root: expected.posted.root,
      total: expected.posted.total,
      unassigned: expected.posted.unassigned,
      receiptsRoot: expected.receiptsRoot,
      dataHash: expected.dataHash,
    })
  })
  it('are what golden_vectors.py writes', () => {
    const venv = join(import.meta.dirname, '../../../.venv/bin/python')
    const out = mkdtempSync(join(tmpdir(), 'vectors-'))
    try {
      execFileSync(existsSync(venv) ? venv : 'python3', [join(import.meta.dirname, 'golden_vectors.py'), out])
      for (const name of ['splits', 'payout', 'receipts'])
        expect(readFileSync(join(out, `${name}.json`), 'utf8')).toBe(readFileSync(join(folder, `${name}.json`), 'utf8'))
    } finally {
      rmSync(out, { recursive: true, force: true })
    }
  })
})
