import * as z from 'zod'
import { ReceiptId } from '../ids.ts'
import { Attribution, Billing, Scoring } from '../receipt.ts'
import { Page, page, type Route } from './route.ts'

const receipt = z.strictObject({ receiptId: ReceiptId })

const ReceiptView = z.strictObject({
  receiptId: ReceiptId,
  state: z.enum(['pending', 'completed']),
  billing: Billing,
  attribution: Attribution.nullable(),
  /** While it is pending and its influence was asked for. */
  scoring: Scoring.optional(),
  epoch: z.number().int().nullable(),
  /** Shares change until the epoch is closed. */
  provisional: z.boolean(),
  /**
   * Text of each span, in their order; null where the Datanets of its owners keep it from this caller. Left out when the
   * transcript is no longer kept.
   */
  spanTexts: z.array(z.string().nullable()).optional(),
})

export const ATTRIBUTION_ROUTES = {
  getReceipt: {
    method: 'GET',
    path: '/receipts/{receiptId}',
    door: 'attribution/get-receipt',
    access: 'any',
    summary: 'A receipt with spans, scores and shares',
    params: receipt,
    reply: ReceiptView,
  },
  listReceipts: {
    method: 'GET',
    path: '/receipts',
    door: 'attribution/list-receipts',
    access: 'any',
    summary: 'Receipts of the caller’s account',
    query: z.strictObject(Page),
    reply: page(ReceiptView),
  },
} as const satisfies Record<string, Route>
