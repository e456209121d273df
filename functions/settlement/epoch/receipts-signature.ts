import { createPublicKey, verify } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { Bytes32 } from '#schema/ids'
import { EpochRefused } from './refusal.ts'

/** The signature over one batch of receipts: all of an epoch, by their root. Not one a receipt: the root proves each. */
export const ReceiptsSignature = z.strictObject({
  format: z.literal('openledger-receipts-signature-1'),
  keyId: z.string().min(1),
  /** ECDSA on P-256 over sha256 of the message, ASN.1 DER (RFC 3279), base64. */
  algorithm: z.literal('ECDSA_SHA_256'),
  signedAt: z.iso.datetime(),
  signature: z.base64(),
})
export type ReceiptsSignature = z.output<typeof ReceiptsSignature>

/** A published key: what it signed between `from` and `until` counts, also when the key is gone. */
export const ReceiptKey = z.strictObject({
  keyId: z.string().min(1),
  algorithm: z.literal('ECDSA_SHA_256'),
  /** SubjectPublicKeyInfo (RFC 5480), base64. */
  publicKey: z.base64(),
  from: z.iso.datetime(),
  until: z.iso.datetime().nullable(),
})
export type ReceiptKey = z.output<typeof ReceiptKey>

export interface SignedBatch {
  epoch: number
  receiptsRoot: string
  dataHash: string
}

/** Canonical JSON (RFC 8785) of what is signed: the batch, the key and the time, so that none can be swapped. */
export const signedMessage = (
  { epoch, receiptsRoot, dataHash }: SignedBatch,
  { keyId, signedAt }: Pick<ReceiptsSignature, 'keyId' | 'signedAt'>,
): Uint8Array => Buffer.from(canonicalize({ dataHash: Bytes32.parse(dataHash), epoch, keyId, receiptsRoot, signedAt })!)

/** Returns when a published key signed the batch within its validity; throws `wrong-signature`. */
export const checkSignature = (batch: SignedBatch, signed: ReceiptsSignature, keys: readonly ReceiptKey[]): void => {
  const key = keys.find(({ keyId }) => keyId === signed.keyId)
  if (!key) throw new EpochRefused('wrong-signature', `the key ${signed.keyId} is not published`)
  if (signed.signedAt < key.from || (key.until !== null && signed.signedAt >= key.until))
    throw new EpochRefused('wrong-signature', `signed at ${signed.signedAt}, outside of the validity of ${key.keyId}`)
  const publicKey = createPublicKey({ key: Buffer.from(key.publicKey, 'base64'), format: 'der', type: 'spki' })
  const signature = Buffer.from(signed.signature, 'base64')
  if (!verify('sha256', signedMessage(batch, signed), publicKey, signature))
    throw new EpochRefused('wrong-signature', `the signature is not that of ${key.keyId} over this receipts root`)
}
