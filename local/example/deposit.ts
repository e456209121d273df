import { Contract, JsonRpcProvider, NonceManager, parseEther, Wallet } from 'ethers'
import type { ExampleContext } from './context.ts'

const TOKEN = [
  'function transfer(address to, uint256 amount) returns (bool)',
  'function approve(address spender, uint256 amount) returns (bool)',
  'function balanceOf(address) view returns (uint256)',
]
const ESCROW = [
  'function deposit(address client, uint256 amount)',
  'function availableOf(address client) view returns (uint256)',
]

const ACTIVATED = ['event Activated(uint64 indexed epoch, bytes32 indexed root, uint256 total, uint256 debits)']

export const onChain = async <Result>(
  context: ExampleContext,
  work: (provider: JsonRpcProvider) => Promise<Result>,
): Promise<Result> => {
  const provider = new JsonRpcProvider(context.chain.rpcUrl, context.chain.chainId, {
    staticNetwork: true,
    cacheTimeout: -1,
  })
  provider.pollingInterval = 250
  try {
    return await work(provider)
  } finally {
    provider.destroy()
  }
}

/** The client buys OPEN from whoever holds the supply here, and deposits it to the escrow: a prepaid balance. */
export const deposit = (context: ExampleContext, privateKey: string, amount: bigint): Promise<string> =>
  onChain(context, async (provider) => {
    const { token, escrow } = context.chain.contracts
    const client = new NonceManager(new Wallet(privateKey, provider))
    const address = await client.getAddress()
    const already = (await new Contract(escrow, ESCROW, provider).getFunction('availableOf')(address)) as bigint
    if (already >= amount) return address // deposited before a restart
    const treasury = new NonceManager(new Wallet(context.chain.deployerKey, provider))
    await (await treasury.sendTransaction({ to: address, value: parseEther('1') })).wait()
    await (await new Contract(token, TOKEN, treasury).getFunction('transfer')(address, amount)).wait()
    await (await new Contract(token, TOKEN, client).getFunction('approve')(escrow, amount)).wait()
    await (await new Contract(escrow, ESCROW, client).getFunction('deposit')(address, amount)).wait()
    return address
  })

/** What the contributor's wallet holds on chain, units of 1e-18 OPEN. */
export const openOf = (context: ExampleContext, addresses: readonly string[]): Promise<bigint[]> =>
  onChain(context, async (provider) => {
    const token = new Contract(context.chain.contracts.token, TOKEN, provider)
    return Promise.all(addresses.map((address) => token.getFunction('balanceOf')(address) as Promise<bigint>))
  })

/** The transaction that made the epoch's root the current one: from then on everybody could be paid. */
export const activationOf = (context: ExampleContext, epoch: number): Promise<string | null> =>
  onChain(context, async (provider) => {
    const settlement = new Contract(context.chain.contracts.settlement, ACTIVATED, provider)
    const [log] = await settlement.queryFilter(settlement.filters['Activated']!(epoch), 0)
    return log?.transactionHash ?? null
  })
