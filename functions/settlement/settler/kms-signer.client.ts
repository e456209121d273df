import { GetPublicKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms'
import { computeAddress, hexlify, keccak256, Transaction } from 'ethers'
import { ethereumSignature } from './der-signature.ts'
import type { Fees } from './item.ts'
import type { TransactionSigner } from './ports.ts'

/** Bytes of the uncompressed point at the end of a SubjectPublicKeyInfo of secp256k1 (RFC 5480). */
const POINT = 65

/** Address of a KMS key (ECC_SECG_P256K1, SIGN_VERIFY). */
export const kmsAddress = async (keyId: string, kms = new KMSClient({})): Promise<string> => {
  const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: keyId }))
  return computeAddress(hexlify(PublicKey!.slice(-POINT)))
}

/** Signs EIP-1559 transactions with a KMS key. The address is pinned: a swapped key is an error, not a new identity. */
export class KmsSigner implements TransactionSigner {
  readonly address: string
  readonly #keyId: string
  readonly #chainId: number
  readonly #kms: KMSClient

  constructor(options: { keyId: string; address: string; chainId: number }, kms = new KMSClient({})) {
    this.address = options.address
    this.#keyId = options.keyId
    this.#chainId = options.chainId
    this.#kms = kms
  }

  async sign(call: { to: string; data: string; gasLimit: bigint; nonce: number } & Fees) {
    const { to, data, gasLimit, nonce, maxFeePerGas, maxPriorityFeePerGas } = call
    const fees = { maxFeePerGas, maxPriorityFeePerGas }
    const transaction = Transaction.from({ type: 2, chainId: this.#chainId, to, data, gasLimit, nonce, ...fees })
    const digest = transaction.unsignedHash
    const { Signature: der } = await this.#kms.send(
      new SignCommand({
        KeyId: this.#keyId,
        Message: Buffer.from(digest.slice(2), 'hex'),
        MessageType: 'DIGEST',
        SigningAlgorithm: 'ECDSA_SHA_256',
      }),
    )
    transaction.signature = ethereumSignature(der!, digest, this.address)
    return { raw: transaction.serialized, hash: keccak256(transaction.serialized) }
  }
}
