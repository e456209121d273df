import { DescribeKeyCommand, GetPublicKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms'
import { type ReceiptKey, type ReceiptsSignature, type SignedBatch, signedMessage } from './epoch/receipts-signature.ts'

const kms = new KMSClient({})
const algorithm = 'ECDSA_SHA_256' as const

/** Signs a batch's root with the stack's receipts key (P-256 in KMS). */
export const signBatch = async (keyId: string, batch: SignedBatch, signedAt: string): Promise<ReceiptsSignature> => {
  const Message = signedMessage(batch, { keyId, signedAt })
  const { Signature } = await kms.send(
    new SignCommand({ KeyId: keyId, Message, MessageType: 'RAW', SigningAlgorithm: algorithm }),
  )
  const signature = Buffer.from(Signature!).toString('base64')
  return { format: 'openledger-receipts-signature-1', keyId, algorithm, signedAt, signature }
}

/** The key that signs now, as it is published. */
export const currentKey = async (keyId: string): Promise<ReceiptKey> => {
  const [{ PublicKey }, { KeyMetadata }] = await Promise.all([
    kms.send(new GetPublicKeyCommand({ KeyId: keyId })),
    kms.send(new DescribeKeyCommand({ KeyId: keyId })),
  ])
  const publicKey = Buffer.from(PublicKey!).toString('base64')
  return { keyId, algorithm, publicKey, from: KeyMetadata!.CreationDate!.toISOString(), until: null }
}
