import * as z from 'zod'

/** Every id is a short prefix that names its kind, then 24 lower-case hex digits. */
const id = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-f]{24}$`), `must look like ${prefix}_<24 hex>`)

export const DatanetId = id('dn')
export const ContributionId = id('ctr')
export const TrainingId = id('trn')
export const ReceiptId = id('rcp')
export const AccountId = id('acc')
export const KeyId = id('key')
export const RowId = id('row')

/** First 32 hex of the sha256 of the adapter's manifest.json: content-addressed, so a name can never serve other weights. */
export const AdapterId = z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hex digits')
export const BaseId = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'must be a slug of at most 63 characters')
/** `namespace/name`, lower case; what API clients write in `model`. */
export const AdapterName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,38}\/[a-z0-9][a-z0-9.-]{0,62}$/, 'must look like namespace/name')
/** 0x and 40 hex digits, kept in lower case. */
export const Address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'must be an address of 0x and 40 hex digits')
  .transform((address) => address.toLowerCase())
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in 64 hex digits')
export const Bytes32 = z.string().regex(/^0x[0-9a-f]{64}$/, 'must be 0x and 64 hex digits')

export type Address = z.output<typeof Address>
