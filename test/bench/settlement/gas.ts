/** Gas on a real anvil with the real contracts, beside claims in the shapes of two known distributors. */
import {
  type BaseContract,
  Contract,
  ContractFactory,
  concat,
  keccak256,
  solidityPacked,
  type TransactionReceipt,
  toBeHex,
} from 'ethers'
import { artefactOf, build } from '../../../contracts/script/build.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { LEAF_BYTES, packLeaf } from '../../../functions/settlement/epoch/leaf.ts'
import { buildTree, emptyRoots, hex, rootOf } from '../../../functions/settlement/epoch/merkle-tree.ts'
import { activateCall, payCall, proposeCall } from '../../../functions/settlement/settler/calls.ts'
import { LocalChain } from '../../integration/settlement/local-chain.ts'

const DEPTH = 20
const PAYEES = 4_000
const BATCH = 400

/** Gas of everything that an epoch and its payees cost; `perPayee` also in bytes of calldata. */
export const benchGas = async () => {
  build({ tests: true })
  const chain = await LocalChain.start(0)
  try {
    await chain.deposit(10n ** 23n)
    return { ours: await ours(chain), peers: await peers(chain) }
  } finally {
    chain.stop()
  }
}

const ours = async (chain: LocalChain) => {
  const keccak = await loadKeccak()
  const empty = emptyRoots(keccak, DEPTH)
  const amounts = Array.from({ length: PAYEES }, () => 0n)
  const to = chain.deployment.contracts.settlement
  const send = async (data: string): Promise<TransactionReceipt> =>
    (await (await chain.settler.sendTransaction({ to, data })).wait())!
  let prevRoot = `0x${'0'.repeat(64)}`
  let total = 0n
  const tree = () => {
    const packed = new Uint8Array(PAYEES * LEAF_BYTES)
    amounts.forEach((amount, i) => {
      packLeaf({ kind: 1, address: toBeHex(0xa0_0000 + i, 20), amount }, packed, i * LEAF_BYTES)
    })
    const { levels } = buildTree(keccak, packed, DEPTH)
    const node = (level: number, index: number) =>
      index * 32 < levels[level]!.length ? levels[level]!.subarray(index * 32, index * 32 + 32) : empty[level]!
    return { packed, depth: DEPTH, node, root: hex(rootOf(keccak, { depth: DEPTH, levels })) }
  }
  /** Everybody earns one more; returns the tree and the gas of the update. */
  const epoch = async (number: number) => {
    for (const i of amounts.keys()) amounts[i]! += 10n ** 15n
    const made = tree()
    const rise = 10n ** 15n * BigInt(PAYEES)
    total += rise
    const facts = { receiptsRoot: keccak256(made.root), dataHash: keccak256(keccak256(made.root)) }
    const proposed = await send(proposeCall({ number, prevRoot, root: made.root, total, debits: rise, ...facts }))
    const activated = await send(activateCall(number, made.root))
    prevRoot = made.root
    return { made, update: Number(proposed.gasUsed + activated.gasUsed) }
  }
  const pushed = async (positions: number[], made: ReturnType<typeof tree>) => {
    const data = payCall(positions, made)
    const { gasUsed } = await send(data)
    return { gas: Number(gasUsed) / positions.length, bytes: (data.length - 2) / 2 / positions.length }
  }
  const every = (count: number, from: number, step: number) => Array.from({ length: count }, (_, i) => from + i * step)

  const first = await epoch(1)
  const pushFirst = await pushed(every(BATCH / 2, 0, 1), first.made)
  const claimFirst = Number((await send(payCall([3_000], first.made))).gasUsed)
  for (let from = 200; from < 2_000; from += 200) await pushed(every(200, from, 1), first.made)
  const second = await epoch(2)
  const pushDense = await pushed(every(BATCH, 0, 1), second.made)
  const pushTenth = await pushed(every(150, 500, 10), second.made)
  const claimRepeat = Number((await send(payCall([3_000], second.made))).gasUsed)
  // Payees a hundred leaves apart: paid once before, so that only the proofs differ from the dense batch.
  await pushed(every(20, 2_001, 100), second.made)
  const third = await epoch(3)
  const pushHundredth = await pushed(every(20, 2_001, 100), third.made)
  return { epochUpdate: third.update, claimFirst, claimRepeat, pushDense, pushFirst, pushTenth, pushHundredth }
}

const peers = async (chain: LocalChain) => {
  const { abi, bytecode } = artefactOf('ClaimShapes.sol', 'ClaimShapes')
  const deployed: BaseContract = await new ContractFactory(abi as [], bytecode.object, chain.deployer).deploy()
  const shapes = new Contract(await deployed.getAddress(), abi as [], chain.deployer)
  const token = chain.deployment.contracts.token
  await (await chain.token['transfer']!(await shapes.getAddress(), 10n ** 20n)).wait()
  const siblings = Array.from({ length: DEPTH }, (_, i) => keccak256(toBeHex(i + 1, 32)))
  const sortedRoot = (leaf: string) =>
    siblings.reduce((node, other) => keccak256(node < other ? concat([node, other]) : concat([other, node])), leaf)
  const packed = (account: string, amount: bigint) =>
    keccak256(solidityPacked(['uint256', 'uint256', 'uint256'], [account, token, amount]))
  const gasOf = async (call: Promise<{ wait(): Promise<TransactionReceipt | null> }>) =>
    Number((await (await call).wait())!.gasUsed)
  const twice = async (claim: (amount: bigint) => Promise<number>) => ({
    claimFirst: await claim(10n ** 15n),
    claimRepeat: await claim(2n * 10n ** 15n),
  })
  const [one, two] = [toBeHex(0xb0_0001, 20), toBeHex(0xb0_0002, 20)]
  return {
    "Morpho URD's shape": await twice(async (amount) => {
      await (await shapes['setRoot']!(sortedRoot(keccak256(packed(one, amount))))).wait()
      return gasOf(shapes['claim(address,address,uint256,bytes32[])']!(one, token, amount, siblings))
    }),
    "Merkl's shape": await twice(async (amount) => {
      await (await shapes['setRoot']!(sortedRoot(packed(two, amount)))).wait()
      return gasOf(shapes['claim(address[],address[],uint256[],bytes32[][])']!([two], [token], [amount], [siblings]))
    }),
  }
}
