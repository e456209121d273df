import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EscrowLogs } from '../../../functions/settlement/deposits/escrow.client.ts'
import { type DepositBook, scanDeposits } from '../../../functions/settlement/deposits/scan-deposits.ts'
import { EvmChain, provider } from '../../../functions/settlement/settler/chain.client.ts'
import { settleEpochs } from '../../../functions/settlement/settler/settle-epochs.ts'
import { LocalChain } from './local-chain.ts'
import { Durable, Ledger, MemoryStore, memoryBook, memoryFiles, walletSigner } from './settler-fakes.ts'

const OPEN = 10n ** 18n
interface Call {
  id: number
  method: string
  params: unknown[]
}
/** What a bad node makes of the true reply to a call; `refuse` = an HTTP status, `hang` = no reply at all. */
// biome-ignore lint/suspicious/noExplicitAny: replies of a node
type Lie = (call: Call, reply: any) => any
let chain: LocalChain
let server: Server
let url: string
let lie: Lie | 'refuse' | 'hang' | undefined

beforeAll(async () => {
  chain = await LocalChain.start(3)
  await chain.deposit(100n * OPEN)
  await chain.mine(3)
  server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    if (lie === 'hang') return
    if (lie === 'refuse') return response.writeHead(429).end('too many requests')
    const true_ = await (
      await fetch(chain.rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    ).json()
    const calls = [JSON.parse(body)].flat() as Call[]
    const replies = [true_]
      .flat()
      .map((reply) => (lie ? (lie as Lie)(calls.find(({ id }) => id === reply.id)!, reply) : reply))
    response.end(JSON.stringify(Array.isArray(true_) ? replies : replies[0]))
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
})
afterAll(() => {
  server?.closeAllConnections()
  server?.close()
  chain?.stop()
})

const lies: [string, Lie | 'refuse' | 'hang'][] = [
  ['answers "too many requests"', 'refuse'],
  ['does not answer', 'hang'],
  [
    'says an error for everything',
    (_call, { id, jsonrpc }) => ({ id, jsonrpc, error: { code: -32000, message: 'header not found' } }),
  ],
  [
    'calls a block final that it has not seen',
    ({ method, params }, reply) =>
      method === 'eth_getBlockByNumber' && params[0] === 'finalized'
        ? { ...reply, result: { ...reply.result, number: '0xffffff' } }
        : reply,
  ],
  ['is another chain', ({ method }, reply) => (method === 'eth_chainId' ? { ...reply, result: '0x1' } : reply)],
  [
    'serves another contract',
    ({ method }, reply) => (method === 'eth_getCode' ? { ...reply, result: '0x6001' } : reply),
  ],
]

test.each(lies)(
  'a node that %s moves nothing: no credit, no cursor, no item',
  { timeout: 60_000 },
  async (_name, how) => {
    lie = how
    const rpc = provider({ rpcUrl: url, chainId: 31_337 }, 1_000)
    const { escrow, settlement } = chain.deployment.contracts
    const { escrow: escrowCode, settlement: codeHash } = chain.deployment.codeHashes as Record<string, string>
    const moves: string[] = []
    const note = (what: string) => async () => {
      moves.push(what)
    }
    const book: DepositBook = {
      ...{ scannedTo: async () => undefined, unmatched: async () => [], setScannedTo: note('cursor') },
      ...{ keepUnmatched: note('unmatched'), forgetUnmatched: note('forgotten'), leave: note('leaving') },
      credit: async () => {
        moves.push('credit')
        return 'credited'
      },
    }
    const logs = new EscrowLogs(rpc, { chainId: 31_337, contract: escrow, codeHash: escrowCode! }, 'finalized')
    const options = { chainId: 31_337, fromBlock: chain.deployment.fromBlock, overlap: 4, range: 100 }
    await expect(scanDeposits(logs, book, options)).rejects.toThrow()

    const durable = new Durable()
    const ledger = new Ledger(durable, chain.client.address)
    ledger.pay(`0x${'11'.repeat(20)}`, OPEN)
    ledger.close()
    const at = { settlement, codeHash: codeHash!, settler: chain.settler.address, finality: 'finalized' as const }
    let signed = 0
    const signer = walletSigner(chain.settler)
    const settled = settleEpochs({
      chain: new EvmChain({ rpcUrl: url, chainId: 31_337, ...at }, rpc),
      signer: {
        ...signer,
        sign: (call) => {
          signed++
          return signer.sign(call)
        },
      },
      ...{ store: new MemoryStore(durable), book: memoryBook(durable), files: memoryFiles(durable), settlement },
      ...{
        pushThreshold: 1n,
        policy: { feeCap: 10n ** 12n, staleAfterMs: 6_000, gasMarginPercent: 30n },
        now: Date.now,
      },
      ...{ sleep: async () => {}, deadline: Date.now() + 5_000, idleMs: 100, pollMs: 10 },
    })
    // The false final block is noticed when finality is asked for: until then the item may be in the network, never FINAL.
    await settled.catch(() => {})
    if (_name.startsWith('calls')) expect([...durable.items.values()].join()).not.toContain('"FINAL"')
    else expect(signed).toBe(0)
    expect(moves).toEqual([])
    lie = undefined
    rpc.destroy()
  },
)

test('a node with an old head moves the cursor no further than it knows, and nothing is lost when it catches up', async () => {
  const head = await chain.rpc.getBlockNumber()
  const old = await chain.rpc.send('eth_getBlockByNumber', [`0x${(head - 4).toString(16)}`, false])
  const rpc = provider({ rpcUrl: url, chainId: 31_337 }, 2_000)
  const contract = chain.deployment.contracts.escrow
  const logs = new EscrowLogs(
    rpc,
    { chainId: 31_337, contract, codeHash: chain.deployment.codeHashes['escrow']! },
    'finalized',
  )
  let cursor: number | undefined
  const credits = new Set<string>()
  const book: DepositBook = {
    ...{ scannedTo: async () => cursor, unmatched: async () => [], leave: async () => {} },
    ...{ keepUnmatched: async () => {}, forgetUnmatched: async () => {} },
    setScannedTo: async (block) => {
      cursor = Math.max(cursor ?? 0, block)
    },
    credit: async (_deposit, reference) => {
      if (credits.has(reference)) return 'repeated'
      credits.add(reference)
      return 'credited'
    },
  }
  const scan = () => scanDeposits(logs, book, { chainId: 31_337, fromBlock: 0, overlap: 2, range: 50 })
  lie = ({ method, params }, reply) =>
    method === 'eth_getBlockByNumber' && ['finalized', 'latest'].includes(params[0] as string)
      ? { ...reply, result: old }
      : method === 'eth_blockNumber'
        ? { ...reply, result: old.number }
        : reply
  await scan()
  expect(cursor).toBe(head - 4)
  lie = undefined
  await scan()
  expect(cursor).toBeGreaterThan(head - 4)
  expect(credits.size).toBe(1)
  rpc.destroy()
})
