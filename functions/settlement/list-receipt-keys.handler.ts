import * as z from 'zod'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { ReceiptKey } from './epoch/receipts-signature.ts'
import { currentKey } from './receipts-signer.client.ts'

const env = environment('RECEIPTS_KEY_ID', 'PAST_RECEIPT_KEYS')
const past = z.array(ReceiptKey).parse(JSON.parse(env.PAST_RECEIPT_KEYS))
let current: ReceiptKey | undefined

/** Public: the key that signs receipts now, and those that did, with their validity. */
export const handler = apiDoor('listReceiptKeys', async () => {
  current ??= await currentKey(env.RECEIPTS_KEY_ID)
  return { items: [current, ...past] }
})
