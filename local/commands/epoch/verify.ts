import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { type ReceiptProof, verifyReceiptProof } from '../../../functions/settlement/epoch/receipt-proof.ts'
import { checkSignature, ReceiptKey } from '../../../functions/settlement/epoch/receipts-signature.ts'
import { EpochRefused } from '../../../functions/settlement/epoch/refusal.ts'

const SETTLEMENT = [
  'function epochs(uint64) view returns (bytes32 root, bytes32 receiptsRoot, bytes32 dataHash)',
  'function state() view returns (uint64 epoch, uint40 proposedAt, uint40 pendingProposedAt, uint40 activatesAt, uint40 pausedUntil)',
]

interface Options {
  proof: string
  rpc: string | undefined
  settlement: string | undefined
  keys?: string | undefined
}

/** Verifies a receipt proof offline and, with `rpc`, against the settlement contract. */
export const verify = async ({ proof: file, rpc, settlement, keys }: Options) => {
  const proof = verifyReceiptProof(read(file, 'wrong-proof'), await loadKeccak())
  process.stderr.write(
    `receipt ${proof.receipt.billing.receiptId} stands under the receipts root of epoch ${proof.epoch}\n`,
  )
  const signedBy = keys === undefined ? undefined : signer(proof, keys)
  const chain = rpc === undefined ? undefined : await onChain(proof, rpc, settlement)
  const { receiptId, adapterId, fee } = proof.receipt.billing
  return {
    ok: true,
    result: {
      valid: true,
      receiptId,
      adapterId,
      fee,
      epoch: proof.epoch,
      receiptsRoot: proof.receiptsRoot,
      signedBy,
      chain,
    },
  }
}

/** The published key that signed the receipts root; `keys` is the reply of GET /receipt-keys. */
const signer = (proof: ReceiptProof, keys: string): string => {
  const published = z.object({ items: z.array(ReceiptKey) }).safeParse(read(keys, 'wrong-signature'))
  if (!published.success) throw new EpochRefused('wrong-signature', `${keys} is not a list of published keys`)
  if (!proof.signature) throw new EpochRefused('wrong-signature', 'the proof carries no signature')
  checkSignature(proof, proof.signature, published.data.items)
  return proof.signature.keyId
}

const read = (file: string, code: 'wrong-proof' | 'wrong-signature'): unknown => {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new EpochRefused(code, `cannot read ${file}: ${(error as Error).message}`)
  }
}

/** Roots of the epoch as the contract has them; a proposed epoch inside its window is `pending`. */
const onChain = async (proof: ReceiptProof, rpc: string, named: string | undefined) => {
  const settlement = named ?? proof.chain?.settlement
  if (!settlement) throw new EpochRefused('wrong-proof', 'the proof names no settlement contract: give --settlement')
  // Loaded here: without --rpc the command needs no chain library.
  const { Interface } = await import('ethers')
  const contract = new Interface(SETTLEMENT)
  const chainId = Number(await call(rpc, 'eth_chainId', []))
  if (proof.chain && proof.chain.chainId !== chainId)
    throw new EpochRefused('wrong-proof', `the proof is for chain ${proof.chain.chainId}, the RPC serves ${chainId}`)
  const read = async (name: string, values: unknown[]) => {
    const data = contract.encodeFunctionData(name, values)
    const reply = await call(rpc, 'eth_call', [{ to: settlement, data }, 'latest'])
    if (reply === '0x') throw new EpochRefused('wrong-proof', `there is no settlement contract at ${settlement}`)
    return contract.decodeFunctionResult(name, reply)
  }
  const epoch = await read('epochs', [proof.epoch])
  for (const name of ['root', 'receiptsRoot', 'dataHash'] as const)
    if (epoch[name] !== proof[name])
      throw new EpochRefused(
        'wrong-proof',
        `${name} of epoch ${proof.epoch} is ${epoch[name]} on chain, ${proof[name]} in the proof`,
      )
  const state = await read('state', [])
  return { chainId, settlement, state: state['epoch'] >= BigInt(proof.epoch) ? 'active' : 'pending' }
}

const call = async (rpc: string, method: string, params: unknown[]): Promise<string> => {
  const failed = (why: string) => Object.assign(new Error(`${method} at ${rpc}: ${why}`), { code: 'rpc-failed' })
  const reply = await fetch(rpc, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(15_000),
  })
    .then((response) => response.json() as Promise<{ result?: string; error?: { message: string } }>)
    .catch((error: Error) => {
      throw failed(error.message)
    })
  if (typeof reply.result !== 'string') throw failed(reply.error?.message ?? 'no result')
  return reply.result
}
