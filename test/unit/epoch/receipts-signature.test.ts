import { generateKeyPairSync, sign } from 'node:crypto'
import { expect, it } from 'vitest'
import {
  checkSignature,
  type ReceiptKey,
  type ReceiptsSignature,
  signedMessage,
} from '../../../functions/settlement/epoch/receipts-signature.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key: ReceiptKey = {
  keyId: 'arn:key/1',
  algorithm: 'ECDSA_SHA_256',
  publicKey: pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
  from: '2026-01-01T00:00:00.000Z',
  until: null,
}
const batch = { epoch: 3, receiptsRoot: `0x${'1'.repeat(64)}`, dataHash: `0x${'2'.repeat(64)}` }
const signed = (signedAt = '2026-02-01T00:00:00.000Z', keyId = key.keyId): ReceiptsSignature => ({
  ...{ format: 'openledger-receipts-signature-1', keyId, algorithm: 'ECDSA_SHA_256', signedAt },
  signature: sign('sha256', signedMessage(batch, { keyId, signedAt }), pair.privateKey).toString('base64'),
})

it('a batch of receipts is signed by a published key, as OpenSSL and KMS write it', () => {
  checkSignature(batch, signed(), [key])
})
it('another batch, key, time or signature is refused', () => {
  const refused = (what: typeof batch, signature: ReceiptsSignature, keys: ReceiptKey[], why: string) =>
    expect(() => checkSignature(what, signature, keys)).toThrow(why)
  const over = 'is not that of'
  refused({ ...batch, epoch: 4 }, signed(), [key], over)
  refused({ ...batch, receiptsRoot: batch.dataHash }, signed(), [key], over)
  refused({ ...batch, dataHash: batch.receiptsRoot }, signed(), [key], over)
  refused(batch, { ...signed(), signedAt: '2026-02-01T00:00:00.001Z' }, [key], over)
  refused(batch, { ...signed(), signature: Buffer.from('no signature').toString('base64') }, [key], over)
  refused(batch, signed(), [], 'is not published')
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' })
  refused(batch, signed(), [{ ...key, publicKey: other.toString('base64') }], over)
  refused(batch, signed('2025-12-31T00:00:00.000Z'), [key], 'outside of the validity')
  refused(batch, signed(), [{ ...key, until: '2026-02-01T00:00:00.000Z' }], 'outside of the validity')
})
