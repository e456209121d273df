import canonicalize from 'canonicalize'
import * as z from 'zod'
import { Bytes32 } from '#schema/ids'
import { Receipt } from '#schema/receipt'
import type { Keccak } from './keccak.ts'
import { fromHex, hex, rootFromProof } from './merkle-tree.ts'
import { ReceiptsSignature } from './receipts-signature.ts'
import { receiptLeaf } from './receipts-tree.ts'
import { EpochRefused } from './refusal.ts'
import { effectsOfReceipt } from './set-calculator.ts'
import { receiptEffects } from './stream-calculator.ts'

const Fine = z.string().regex(/^(0|-?[1-9][0-9]*)$/)

/** What anyone needs to check that a receipt was in an epoch, and what it moved there. */
export const ReceiptProof = z.strictObject({
  format: z.literal('openledger-receipt-proof-1'),
  epoch: z.number().int().min(1),
  receiptsRoot: Bytes32,
  /** Root of the balances and digest of the inputs, as proposed on chain beside the receipts root. */
  root: Bytes32,
  dataHash: Bytes32,
  receipt: Receipt,
  index: z.number().int().min(0),
  siblings: z.array(Bytes32).min(1).max(32),
  /** Fine units (2^-20 of 1e-18 OPEN) that this receipt adds to the epoch's sums of each cluster; influence is signed. */
  effect: z.array(z.strictObject({ cluster: z.string(), contributor: z.string(), provenance: Fine, influence: Fine })),
  /** Over the receipts root, by a key that GET /receipt-keys publishes; absent while the epoch is not recorded. */
  signature: ReceiptsSignature.optional(),
  /** Where the epoch is settled; absent when the deployment has no chain. */
  chain: z.strictObject({ chainId: z.number().int(), settlement: z.string().regex(/^0x[0-9a-fA-F]{40}$/) }).optional(),
})
export type ReceiptProof = z.output<typeof ReceiptProof>

/** The effect list of a proof, by cluster. */
export const effectOf = (receipt: Receipt): ReceiptProof['effect'] => {
  const { pools } = receipt.attribution
  return receiptEffects(receipt, {
    provenance: BigInt(pools.provenance),
    influence: BigInt(pools.influence),
    residual: BigInt(pools.residual),
  })
    .map((effect) => ({ ...effect, provenance: String(effect.provenance), influence: String(effect.influence) }))
    .sort((a, b) => (a.cluster < b.cluster ? -1 : 1))
}

/**
 * Checks a proof offline: the receipt is the leaf at `index` under `receiptsRoot`, belongs to the epoch, and moves what
 * `effect` says (both calculators). Throws EpochRefused `wrong-proof` with the first thing that does not hold.
 */
export const verifyReceiptProof = (value: unknown, keccak: Keccak): ReceiptProof => {
  const parsed = ReceiptProof.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new EpochRefused('wrong-proof', `${issue.path.join('.')}: ${issue.message}`)
  }
  const proof = parsed.data
  const refuse = (detail: string) => {
    throw new EpochRefused('wrong-proof', detail, { receiptId: proof.receipt.billing.receiptId })
  }
  if (proof.receipt.epoch !== proof.epoch) refuse(`the receipt is stamped with epoch ${proof.receipt.epoch}`)
  if (proof.index >= 2 ** proof.siblings.length) refuse('index lies outside the tree')
  const leaf = receiptLeaf(keccak, Buffer.from(canonicalize((value as { receipt: unknown }).receipt)!))
  if (hex(rootFromProof(keccak, leaf, proof.index, proof.siblings.map(fromHex))) !== proof.receiptsRoot)
    refuse('the receipt does not stand under the receipts root')
  const second = effectsOfReceipt(proof.receipt)
    .map(({ adapterId: _, ...effect }) => ({
      ...effect,
      provenance: String(effect.provenance),
      influence: String(effect.influence),
    }))
    .sort((a, b) => (a.cluster < b.cluster ? -1 : 1))
  for (const calculated of [effectOf(proof.receipt), second])
    if (canonicalize(calculated) !== canonicalize(proof.effect)) refuse('the effect is not what the receipt moves')
  return proof
}
