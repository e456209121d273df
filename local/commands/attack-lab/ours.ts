import { createHash } from 'node:crypto'
import { attributeReceipt } from '../../../functions/attribution/payout/attribute-receipt.ts'
import { ownInfluence, ownParts } from '../../../functions/attribution/payout/own-part.ts'
import { buildIndex, openIndex } from '../../../functions/attribution/provenance/index.ts'
import type { Receipt } from '../../../functions/schema/receipt.ts'
import type { EpochInputs } from '../../../functions/settlement/epoch/inputs.ts'
import { streamCalculator } from '../../../functions/settlement/epoch/stream-calculator.ts'
import { dampedFisher } from './scorers.ts'
import { SmallModel } from './small-model.ts'
import { type LabAnswer, type Pay, representatives, type World } from './world.ts'

const CONFIDENCE = 1 << 19
const TREASURY = 'treasury'
const SPLIT = { ownerBps: 2000, stakersBps: 0, contributorsBps: 8000 }

/**
 * The whole rule: clusters, provenance shards, signed scores, receipts, and the epoch calculator. Returns money by payee, and the provenance part
 * of it in fine units. */
export const payByOurs = async (
  world: World,
  reference: readonly string[],
  seed: number,
): Promise<{ pay: Pay; provenance: Pay }> => {
  const kept = await representatives(world.rows)
  const rows = kept.map((sequence) => ({
    ...world.rows[sequence]!,
    sequence,
    id: `r${String(sequence).padStart(6, '0')}`,
  }))
  const model = new SmallModel(reference, seed)
  model.train(rows.map(({ text }) => text))
  const scorer = dampedFisher(rows.map(({ text }) => model.gradient(text)))
  const own = ownParts(rows.map(({ text }) => Buffer.from(text)))
  const byId = new Map(rows.map((row) => [row.id, row]))
  const ends = new Map<number, number>()
  for (const [sequence, { batch }] of world.rows.entries()) ends.set(batch, Math.max(ends.get(batch) ?? 0, sequence))
  const end = (batch: number) => (world.policy?.oneVersion ? world.rows.length : ends.get(batch)!)
  const shards = [...Map.groupBy(rows, ({ batch }) => batch).values()].map((own) => openIndex(buildIndex(own)))
  const information = tokenTable(reference)
  const policy = {
    minSpanBytes: 32,
    maxClusters: world.policy?.maxClusters ?? 8,
    capPerClusterBps: world.policy?.capPerClusterBps ?? 10_000,
    capBitsPerToken: 16,
  }
  const credit = (row: (typeof rows)[0]) => ({ datanetId: 'lab', cluster: row.id, contributor: row.contributor })

  const calculator = streamCalculator({ accounts: accountsOf(world), treasury: TREASURY } as unknown as EpochInputs)
  for (const answer of world.answers) {
    const output = Buffer.from(answer.output)
    const spans = shards
      .flatMap((shard) => shard.spans(output, { minLength: 32, maxOwners: 4096 }))
      .map(({ start, end: to, owners }) => ({
        start,
        end: to,
        holders: owners
          .map((id) => byId.get(id)!)
          .map((row) => ({ ...credit(row), sequence: row.sequence, versionEnd: end(row.batch) })),
      }))
    const scores = scorer.score(model.gradient(answer.output))
    const excluded = new Set([answer.payer, ...(answer.linked ?? [])])
    const attribution = attributeReceipt({
      net: answer.net,
      split: SPLIT,
      datanets: [{ id: 'lab', ...policy }],
      unigram: information.table,
      answers: [{ prompt: Buffer.from(answer.prompt), output, tokens: information.tokens(answer.output), spans }],
      influence: {
        confidence: BigInt(CONFIDENCE),
        scores: rows.map((row, i) => ({
          ...credit(row),
          score: ownInfluence(BigInt(Math.round(scores[i]! * 2 ** 20)), own[i]!),
        })),
      },
      excluded,
      inManifest: () => true,
    })
    calculator.add(
      receiptOf(answer, attribution, {
        ...policy,
        residual: { to: 'treasury', payee: world.policy?.treasury ?? TREASURY },
      }),
    )
  }
  const { lines, sums } = calculator.finish()
  const pay: Pay = new Map()
  for (const { payee, as, amount } of lines)
    if (as === 'contributor' || as === 'treasury') pay.set(payee, (pay.get(payee) ?? 0) + Number(amount))
  const provenance: Pay = new Map()
  for (const { contributor, provenance: earned } of sums)
    provenance.set(contributor, (provenance.get(contributor) ?? 0) + Number(earned))
  return { pay, provenance }
}

const accountsOf = (world: World) =>
  [...new Set([...world.rows.map(({ contributor }) => contributor), TREASURY, 'owner'])].map((accountId) => ({
    accountId,
  }))

/** The fields that the calculator reads; the laboratory's names stand where the platform has ids. */
const receiptOf = (answer: LabAnswer, attribution: ReturnType<typeof attributeReceipt>, policy: object): Receipt => {
  const text = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)))
  return {
    billing: {
      payer: answer.payer,
      linkedToPayer: answer.linked ?? [],
      adapterId: 'lab',
      owner: 'owner',
      split: SPLIT,
      platformFee: '0',
      platformPayee: TREASURY,
      net: String(answer.net),
      fee: String(answer.net),
      datanets: [{ id: 'lab', trainedTokens: 1, policy }],
    },
    attribution: { ...(text(attribution) as object), status: 'full' },
  } as unknown as Receipt
}

/** Words as tokens, and their information from the fixed reference text, in units of 2^-16 bit. */
const tokenTable = (reference: readonly string[]) => {
  const size = 8192
  const idOf = (word: string) => createHash('md5').update(word.trim().toLowerCase()).digest().readUInt16LE() % size
  const words = (text: string) => text.match(/\s*\S+/g) ?? []
  const counts = new Float64Array(size).fill(0.5)
  for (const text of reference) for (const word of words(text)) counts[idOf(word)]! += 1
  const total = counts.reduce((a, b) => a + b, 0)
  return {
    table: Uint32Array.from(counts, (count) => Math.round(-Math.log2(count / total) * 65_536)),
    tokens: (text: string) => words(text).map((word) => ({ id: idOf(word), bytes: Buffer.byteLength(word) })),
  }
}
