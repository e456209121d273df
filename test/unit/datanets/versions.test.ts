import { keccak256 as reference } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeHeader,
  encodeHeader,
  encodeRecord,
  readSignatures,
} from '../../../functions/datanets/clusters/signature-file.ts'
import {
  hex,
  keccak256,
  leafOf,
  MerkleRoot,
  proofOf,
  rootFrom,
  ZERO,
} from '../../../functions/datanets/versions/merkle-tree.ts'
import { rowId, rowLine, rowRecord, sequenceOf } from '../../../functions/datanets/versions/row-record.ts'
import { NO_ROOT, versionRoot } from '../../../functions/datanets/versions/version-manifest.ts'
import { piecesOf } from './sources.ts'

const leavesOf = (n: number): Uint8Array[] =>
  Array.from({ length: n }, (_, index) => leafOf(Buffer.from(`row ${index}`)))
/** The definition: pad with zero leaves to a power of two, hash pairs. */
const rootByDefinition = (leaves: Uint8Array[]): Uint8Array => {
  if (leaves.length === 0) return ZERO
  let level = [...leaves]
  while (level.length & (level.length - 1)) level.push(ZERO)
  while (level.length > 1)
    level = level.flatMap((left, at) => (at % 2 ? [] : [keccak256(left, level[at + 1] as Uint8Array)]))
  return level[0] as Uint8Array
}
const rootOf = (leaves: Uint8Array[]): Uint8Array => {
  const tree = new MerkleRoot()
  for (const leaf of leaves) tree.add(leaf)
  return tree.root()
}

describe('Merkle roots', () => {
  it('hash as Ethereum does', () => {
    for (const text of ['', 'abc', 'x'.repeat(1000)])
      expect(hex(keccak256(Buffer.from(text)))).toBe(reference(Buffer.from(text)))
  })
  it('equal the padded tree for every number of leaves, and every leaf is proved', () => {
    for (let n = 0; n <= 40; n++) {
      const leaves = leavesOf(n)
      const root = rootOf(leaves)
      expect(hex(root)).toBe(hex(rootByDefinition(leaves)))
      for (let at = 0; at < n; at++) {
        const proof = proofOf(leaves, at)
        expect(hex(rootFrom(leaves[at] as Uint8Array, at, proof))).toBe(hex(root))
        if (n > 1) expect(hex(rootFrom(leaves[at] as Uint8Array, at ^ 1, proof))).not.toBe(hex(root))
      }
    }
  })
  it('a version commits to every part, their order, and the version before', () => {
    const [a, b] = leavesOf(2).map(hex) as [string, string]
    const root = versionRoot(NO_ROOT, [a, b])
    expect(
      new Set([root, versionRoot(NO_ROOT, [b, a]), versionRoot(NO_ROOT, [a]), versionRoot(root, [a, b])]).size,
    ).toBe(4)
  })
})

describe('row records', () => {
  const origin = {
    contribution: `ctr_${'1'.repeat(24)}`,
    contributor: `acc_${'2'.repeat(24)}`,
    row: 3,
    ticket: 7,
    start: 10,
    end: 60,
  }
  it('are canonical JSON with an id that repeats', () => {
    const row = rowRecord(origin, { text: 'é "quoted"\n', prompt: 'p', completion: 'c' })
    expect(row.id).toBe(rowId(origin.contribution, 3, 'é "quoted"\n'))
    expect(row.cluster).toBe(row.id)
    expect(rowLine(row)).toBe(
      `{"cluster":"${row.id}","completion":"c","contribution":"${origin.contribution}","contributor":"${origin.contributor}","end":60,"id":"${row.id}","prompt":"p","sequence":${7 * 2 ** 24 + 3},"start":10,"text":"é \\"quoted\\"\\n"}`,
    )
  })
  it('order by contribution, then by row', () => {
    expect(sequenceOf(1, 999_999)).toBeLessThan(sequenceOf(2, 0))
    expect(Number.isSafeInteger(sequenceOf(2 ** 29 - 1, 2 ** 24 - 1))).toBe(true)
  })
})

describe('signature files', () => {
  it('read back what was written, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 1500 }), async (rows, piece) => {
        const records = Array.from({ length: rows }, (_, n) => ({
          id: `row_${String(n).padStart(24, 'a')}`,
          sequence: n * 2 ** 40,
          lineStart: n * 2 ** 33,
          lineBytes: n + 1,
          signature: Uint32Array.from({ length: 128 }, (_, i) => 2 ** 32 - 1 - i * n),
        }))
        const bytes = Buffer.concat([encodeHeader(rows), ...records.map(encodeRecord)])
        const read = []
        for await (const record of readSignatures(piecesOf(bytes, piece))) read.push(record)
        expect(read).toEqual(records)
      }),
      { numRuns: 40 },
    )
  })
  it('refuse what is cut or something else', async () => {
    const bytes = Buffer.concat([encodeHeader(1), Buffer.alloc(100)])
    await expect(readSignatures(piecesOf(bytes)).next()).rejects.toThrow('cut')
    expect(() => decodeHeader(Buffer.from('something else, long enough'))).toThrow('not a signature file')
  })
})
