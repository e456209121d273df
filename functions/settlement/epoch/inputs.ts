import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { AccountId, AdapterId, Address, Bytes32, ReceiptId, Sha256 } from '#schema/ids'
import { Amount } from '#schema/money'
import { EpochRefused } from './refusal.ts'

const Payable = Address.refine((address) => !/^0x0{40}$/.test(address), 'must not be the zero address')
const distinct = <Item>(key: (item: Item) => string) =>
  [(items: Item[]) => new Set(items.map(key)).size === items.length, 'must not repeat'] as const

/**
 * `epoch-inputs.json`: everything beside the receipts that decides an epoch, canonical JSON (RFC 8785). Its sha256 is
 * the `dataHash` on chain. Lies in the folder of the epoch's receipt log; with the receipts (`*.jsonl`) and, from the
 * second epoch on, the previous `balances.bin`, an auditor needs nothing else.
 */
export const EpochInputs = z.strictObject({
  format: z.literal('openledger-epoch-inputs-1'),
  epoch: z.number().int().min(1),
  /** When the object list was fixed; the only clock in the outcome. */
  closedAt: z.iso.datetime(),
  previous: z.strictObject({
    /** The epoch before; 0 before the first. Empty epochs are not closed, so numbers have no gaps. */
    epoch: z.number().int().min(0),
    root: Bytes32,
    /** Sum of its cumulative earned leaves. */
    total: Amount,
    /** sha256 of its `balances.bin`; null when there is none (previous.epoch 0). */
    balances: Sha256.nullable(),
    /** Earnings of payees without an address, outside the claimable total until one is set. */
    unassigned: z
      .array(z.strictObject({ payee: AccountId, amount: Amount }))
      .refine(...distinct((i: { payee: string }) => i.payee)),
    /** Spending of clients without an address that no operator account carries yet. */
    unassignedSpent: z
      .array(z.strictObject({ client: AccountId, amount: Amount }))
      .refine(...distinct((i: { client: string }) => i.client)),
  }),
  treeDepth: z.number().int().min(1).max(32),
  /** Takes what may never be refunded where a Datanet names no treasury: neither a curator nor a model owner. */
  treasury: AccountId,
  /** Its address carries the spending of clients without an address (credit given by the operator); null: none. */
  operator: AccountId.nullable(),
  platform: AccountId,
  /** Adapters that may stand in the log and the digests of their terms (see `termsDigest`). */
  adapters: z
    .array(z.strictObject({ adapterId: AdapterId, terms: z.array(Sha256).min(1) }))
    .refine(...distinct((i: { adapterId: string }) => i.adapterId)),
  /** Address book in order of registration, which breaks ties. */
  accounts: z
    .array(
      z.strictObject({
        accountId: AccountId,
        address: Payable.optional(),
        /** Escrow client whose leaf carries its spending; left out: `address`, or the operator's where there is none; null: the operator's. */
        client: Payable.nullable().optional(),
      }),
    )
    .refine(...distinct((i: { accountId: string }) => i.accountId)),
  /** What the ledger says the log must hold, quarantined receipts left out. */
  ledger: z.strictObject({ receipts: z.number().int().min(0), fees: Amount }),
  /** Receipts that the operator set aside on record: every line with this id is passed over. */
  quarantined: z.array(z.strictObject({ receiptId: ReceiptId, reason: z.string().min(1).max(500) })),
})
export type EpochInputs = z.output<typeof EpochInputs>

/** Parses and checks `epoch-inputs.json`; throws `invalid-inputs` naming the field. */
export const parseEpochInputs = (bytes: Uint8Array): EpochInputs => {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new EpochRefused('invalid-inputs', 'epoch-inputs.json is not JSON in UTF-8')
  }
  const parsed = EpochInputs.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw new EpochRefused('invalid-inputs', `${issue.path.join('.')}: ${issue.message}`)
  }
  const inputs = parsed.data
  if (canonicalize(inputs) !== new TextDecoder().decode(bytes).trimEnd())
    throw new EpochRefused('invalid-inputs', 'epoch-inputs.json is not canonical JSON (RFC 8785, lower-case addresses)')
  if (inputs.previous.epoch !== inputs.epoch - 1)
    throw new EpochRefused('invalid-inputs', 'previous.epoch: must be the epoch before')
  if ((inputs.previous.balances === null) !== (inputs.previous.epoch === 0))
    throw new EpochRefused('invalid-inputs', 'previous.balances: must be null exactly when previous.epoch is 0')
  return inputs
}

/** dataHash: sha256 over the canonical JSON of the inputs. */
export const dataHash = (inputs: EpochInputs): string => `0x${sha256(canonicalize(inputs)!)}`

/** Everything about an adapter that decides who gets what part of a fee. */
export interface Terms {
  owner: string
  split: unknown
  price: unknown
  confidence: number
  attribution: string
  datanets: unknown
}

/** sha256 over the canonical JSON of {attribution, confidence, datanets, owner, price, split} as they stand in `billing`. */
export const termsDigest = ({ owner, split, price, confidence, attribution, datanets }: Terms): string =>
  sha256(canonicalize({ owner, split, price, confidence, attribution, datanets })!)

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
