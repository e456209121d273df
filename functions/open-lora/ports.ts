import type { Hold } from '#ledger/hold'
import type { Caller } from '#schema/accounts'
import type { Billing, Transcript } from '#schema/receipt'
import type { Served } from './models.store.ts'
import type { CompletionBody } from './request.ts'

export interface Ports {
  resolve(model: string, receiptId: string): Promise<Served>
  claim(receiptId: string): Promise<boolean>
  unclaim(receiptId: string): Promise<void>
  /** Whether there is a receipt. A transcript is written before its settle, so it alone says nothing. */
  settled(receiptId: string): Promise<boolean>
  /** The reply in the transcript of an earlier request under this receipt id, if there is one. */
  earlier(receiptId: string): Promise<string | undefined>
  reserve(hold: Omit<Hold, 'shard'>): Promise<Hold>
  release(hold: Hold): Promise<unknown>
  settle(hold: Hold, bill: (position: { shard: number; sequence: number }) => Billing): Promise<Billing>
  ask(served: Served, body: string): Promise<AsyncIterable<Uint8Array>>
  saveTranscript(transcript: Transcript): Promise<void>
  linkedTo(accountId: string): Promise<string[]>
  newReceiptId(): string
  newSalt(): string
  now(): Date
  platform: { feeBps: number; payee: string }
}
export interface Call {
  caller: Extract<Caller, { kind: 'client' }>
  body: CompletionBody
  idempotencyKey: string | undefined
}
