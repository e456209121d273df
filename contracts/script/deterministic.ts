/** Deployment by CREATE2: the address of a contract depends on its code and constructor arguments alone. */
import { type ContractTransactionResponse, ethers } from 'ethers'

/** The deterministic-deployment proxy (https://github.com/Arachnid/deterministic-deployment-proxy), keyless. */
export const CANONICAL_FACTORY = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
/** Its published pre-signed deployment (no chain id, 100,000 gas at 100 gwei). */
const PRESIGNED =
  '0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba02222222222222222222222222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222'
/** Runtime code of the proxy. */
const FACTORY_RUNTIME =
  '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3'
/** Its creation code, for chains that refuse the pre-signed transaction. */
const FACTORY_CREATION =
  '0x604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3'

/** A transaction that the script wants; `send` is what happens unless it is a dry run. */
export type Sender = (
  what: string,
  request: ethers.TransactionRequest,
) => Promise<ethers.TransactionReceipt | undefined>

export async function hasCode(provider: ethers.Provider, address: string): Promise<boolean> {
  return (await provider.getCode(address)) !== '0x'
}

/** Finds the CREATE2 factory or puts it there. `known`: a factory of an earlier run. @returns its address */
export async function ensureFactory(provider: ethers.Provider, send: Sender, known?: string): Promise<string> {
  for (const address of [CANONICAL_FACTORY, known]) {
    if (address && (await provider.getCode(address)) === FACTORY_RUNTIME) return address
  }
  const presigned = ethers.Transaction.from(PRESIGNED)
  const cost = presigned.gasLimit * (presigned.gasPrice ?? 0n)
  const balance = await provider.getBalance(presigned.from!)
  if (balance < cost) await send('fund the factory deployer', { to: presigned.from, value: cost - balance })
  try {
    const sent = await provider.broadcastTransaction(PRESIGNED)
    await (sent as ContractTransactionResponse).wait()
    if (await hasCode(provider, CANONICAL_FACTORY)) return CANONICAL_FACTORY
  } catch {
    // Chains that demand EIP-155 refuse it; a factory of our own gives addresses that are stable on this chain.
  }
  const receipt = await send('deploy a factory of our own', { data: FACTORY_CREATION })
  return receipt?.contractAddress ?? CANONICAL_FACTORY
}

/** The address that `initCode` gets from the factory. */
export function addressOf(factory: string, salt: string, initCode: string): string {
  return ethers.getCreate2Address(factory, salt, ethers.keccak256(initCode))
}

/** Whether on-chain code is the compiled runtime code, immutables aside. */
export function sameCode(
  onChain: string,
  compiled: { object: string; immutableReferences?: Record<string, { start: number; length: number }[]> },
): boolean {
  const mask = (hex: string) => {
    const bytes = ethers.getBytes(hex)
    for (const places of Object.values(compiled.immutableReferences ?? {})) {
      for (const { start, length } of places) bytes.fill(0, start, start + length)
    }
    return ethers.hexlify(bytes)
  }
  return onChain.length === compiled.object.length && mask(onChain) === mask(compiled.object)
}
