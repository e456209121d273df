import * as z from 'zod'
import { EpochRecord } from '../epoch.ts'
import { AccountId, Address, Bytes32, ReceiptId } from '../ids.ts'
import { Amount } from '../money.ts'
import { Page, page, type Route } from './route.ts'

const receipt = z.strictObject({ receiptId: ReceiptId })

const PayeeView = z.strictObject({
  address: Address,
  accountIds: z.array(AccountId),
  accrued: Amount,
  /** Cumulative amount proved against `root`; what the contract pays is this minus what was claimed. */
  claimable: Amount,
  proof: z
    .strictObject({
      epoch: z.number().int(),
      root: Bytes32,
      index: z.number().int(),
      amount: Amount,
      siblings: z.array(Bytes32),
    })
    .nullable(),
})

export const SETTLEMENT_ROUTES = {
  getReceiptProof: {
    method: 'GET',
    path: '/receipts/{receiptId}/proof',
    door: 'settlement/get-receipt-proof',
    access: 'any',
    summary: 'What anyone needs to check the receipt offline',
    params: receipt,
    reply: z.looseObject({}),
  },
  listReceiptKeys: {
    method: 'GET',
    path: '/receipt-keys',
    door: 'settlement/list-receipt-keys',
    access: 'public',
    summary: 'Keys that sign the receipts of an epoch, with their validity',
    reply: z.strictObject({
      items: z.array(
        z.strictObject({
          keyId: z.string(),
          algorithm: z.literal('ECDSA_SHA_256'),
          publicKey: z.string(),
          from: z.iso.datetime(),
          until: z.iso.datetime().nullable(),
        }),
      ),
    }),
  },
  getPayee: {
    method: 'GET',
    path: '/payees/{address}',
    door: 'settlement/get-payee',
    access: 'public',
    summary: 'Accrued and claimable, with the proof',
    params: z.strictObject({ address: Address }),
    reply: PayeeView,
  },
  listEpochs: {
    method: 'GET',
    path: '/epochs',
    door: 'settlement/list-epochs',
    access: 'any',
    summary: 'Epochs, newest first',
    query: z.strictObject(Page),
    reply: page(EpochRecord),
  },
  closeEpoch: {
    method: 'POST',
    path: '/epochs:close',
    door: 'settlement/close-epoch',
    access: 'operator',
    summary: 'Close the open epoch now instead of at its schedule, or a vetoed one again',
    query: z.strictObject({ reopen: z.coerce.number().int().min(1).optional() }),
    reply: z.strictObject({ epoch: z.number().int(), execution: z.string() }),
    status: 202,
  },
} as const satisfies Record<string, Route>
