import fc from 'fast-check'
import { expect, test } from 'vitest'
import { attribute, type SearchedShard } from '../../../functions/attribution/evidence.ts'
import { buildIndex, openIndex } from '../../../functions/attribution/provenance/index.ts'
import type { Billing, Transcript } from '../../../functions/schema/receipt.ts'
import { makeReceipt } from '../epoch/epoch-factory.ts'
import { hex, rowId } from './world.ts'

const { billing } = makeReceipt({ name: 1, status: 'provenance-only' })
const datanetIds = [`dn_${hex(1)}`, `dn_${hex(2)}`]
/** One row of a part: its text, and in which of the part's shards it lies. */
interface Placed {
  text: string
  shard: number
}
const word = fc.constantFrom('a', 'b', 'é', '😀', 'the same phrase ', 'of several rows ')
const text = fc.array(word, { maxLength: 7 }).map((words) => words.join(''))
const part = fc.array(fc.record({ text, shard: fc.nat(2) }), { maxLength: 4 })

/** What attribution sees of parts, each the whole of a version, whose rows lie in shards as `shardOf` says. */
const searched = (parts: Placed[][], output: string, shardOf: (row: Placed) => number): SearchedShard[] => {
  const numbered = parts.map((rows, p) =>
    rows.map((row, i) => ({ ...row, number: 100 * p + i, id: rowId(100 * p + i) })),
  )
  return numbered.flatMap((rows, p) =>
    [0, 1, 2].map((shard) => {
      const own = rows.filter((row) => shardOf(row) === shard)
      const index = openIndex(buildIndex(own))
      return {
        key: `${p}.${shard}`,
        digest: 'f'.repeat(64),
        datanetId: datanetIds[p % 2]!,
        contribution: `ctr_${hex(p)}`,
        versionEnd: 100 * p + 99,
        rows: new Map(
          own.map(({ id, number }) => [id, { cluster: id, contributor: `acc_${hex(p)}`, sequence: number }]),
        ),
        spans: new Map([[output, index.spans(Buffer.from(output), { minLength: 16, maxOwners: 99 })]]),
      }
    }),
  )
}

test('what a receipt says and pays does not depend on how rows are sharded, nor on the order of shards (P15)', () => {
  const policies = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 16, max: 24 }))
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 4 }),
      text,
      text,
      fc.tuple(policies, policies),
      (parts, said, prompt, each) => {
        const output = `${said} ${parts
          .flat()
          .slice(0, 3)
          .map((row) => row.text)
          .join('')}`
        const bill: Billing = {
          ...billing,
          attribution: 'provenance',
          datanets: datanetIds.map((id, i) => ({
            ...billing.datanets[0]!,
            id,
            policy: { ...billing.datanets[0]!.policy, maxClusters: each[i]![0], minSpanBytes: each[i]![1] },
          })),
        }
        const choice = { promptText: prompt, promptTokens: [], outputText: output }
        const outputTokens = [...output].map((character) => ({ id: 7, bytes: Buffer.byteLength(character) }))
        const transcript = { choices: [{ ...choice, outputTokens }] } as unknown as Transcript
        const told = (shards: SearchedShard[]) => {
          const { methodDigest, ...rest } = attribute(
            bill,
            transcript,
            { shards, missing: [] },
            new Uint32Array(8).fill(9),
            null,
          )
          return rest
        }
        const whole = told(searched(parts, output, () => 0))
        expect(told(searched(parts, output, (row) => row.shard))).toEqual(whole)
        expect(told(searched(parts, output, (row) => row.shard).reverse())).toEqual(whole)
      },
    ),
    { numRuns: 200 },
  )
}, 60_000)
