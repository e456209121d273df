import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { createProgress } from '../../local/setup/progress.ts'
import { ensureSetup } from '../../local/setup/setup.ts'
import { benchClose } from './settlement/close.ts'
import { benchGas } from './settlement/gas.ts'
import { benchSettle } from './settlement/settle.ts'
import { benchOpenZeppelin, benchOurs } from './settlement/tree.ts'

const HELP = `usage: npm run bench:settlement [-- --quick --seed N]

The Merkle tree of an epoch beside @openzeppelin/merkle-tree, the close of an epoch from its receipt log, and the gas of
epochs, claims and pushes on anvil beside claims in the shapes of Morpho's and Merkl's distributors, all in this run.
Seconds of trees and of the close are processor time, each in a process of its own, so that others do not disturb them.
--quick takes a tenth of the leaves and receipts.
`
const LARGE = 1_000_000
const RECEIPTS = 100_000
/** Scored rows a receipt; the example's small Datanet has a score for each of its rows. */
const SCORES = 20
const EXAMPLE_SCORES = 70

const usage = (message: string): never => {
  process.stderr.write(`${message}\n${HELP}`)
  process.exit(2)
}
const options = () => {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        seed: { type: 'string', default: '7' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    return usage((error as Error).message)
  }
}
const values = options()
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
if (!/^\d+$/.test(values.seed)) usage(`--seed: a whole number, not ${values.seed}`)
const seed = Number(values.seed)
const count = values.quick ? LARGE / 10 : LARGE
const peerCount = values.quick ? 2_000 : 20_000

await ensureSetup({ contracts: true, progress: createProgress() })
process.stderr.write(`tree of ${count} leaves\n`)
const tree = benchOurs(count, seed)
process.stderr.write(`@openzeppelin/merkle-tree with ${peerCount} leaves\n`)
const openZeppelin = benchOpenZeppelin(peerCount, seed)
const receipts = values.quick ? RECEIPTS / 10 : RECEIPTS
process.stderr.write(`close of an epoch with ${receipts} receipts\n`)
const close = benchClose(receipts, seed, SCORES)
process.stderr.write(`the same with ${EXAMPLE_SCORES} scored rows a receipt\n`)
const closeOfLong = benchClose(receipts / 10, seed, EXAMPLE_SCORES)
process.stderr.write('gas on anvil\n')
const gas = await benchGas()
process.stderr.write('the settler on anvil\n')
const settlement = await benchSettle()

const large = (value: number) =>
  values.quick ? { value: null, why: `--quick measures ${count} leaves, not ${LARGE}` } : { value }
const reached = (figure: string, measured: { value: number | null; why?: string }, goal: number, unit: string) => ({
  figure,
  ...measured,
  goal,
  unit,
  met: measured.value === null ? null : measured.value <= goal,
})
const { ours } = gas
const extrapolated = (openZeppelin.buildSeconds * (LARGE * Math.log2(LARGE))) / (peerCount * Math.log2(peerCount))
const result = {
  name: 'settlement',
  seed,
  quick: values.quick,
  machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, gpu: null },
  ours: { tree, close, closeOfLong, gas: ours, settlement, settlementSeconds: settlement.seconds },
  peers: {
    '@openzeppelin/merkle-tree 1.0.8': {
      ...openZeppelin,
      extrapolatedTo1MSeconds: extrapolated,
      note: 'sorted tree, extrapolated as n log n',
    },
    ...gas.peers,
  },
  reach: [
    reached('epoch update', { value: ours.epochUpdate }, 190_000, 'gas'),
    reached('pushed payee, repeat, every leaf due', { value: ours.pushDense.gas }, 20_000, 'gas'),
    reached('pushed payee, calldata, every leaf due', { value: ours.pushDense.bytes }, 36, 'bytes'),
    // Where a push costs less than a claim of the payee's own, the settler pushes.
    {
      ...reached('pushed payee, first payment', { value: ours.pushFirst.gas }, ours.claimFirst, 'gas'),
      peer: ours.claimFirst,
    },
    {
      ...reached('pushed payee, repeat, 10% due', { value: ours.pushTenth.gas }, ours.claimRepeat, 'gas'),
      peer: ours.claimRepeat,
    },
    {
      ...reached('pushed payee, repeat, 1% due', { value: ours.pushHundredth.gas }, ours.claimRepeat, 'gas'),
      peer: ours.claimRepeat,
    },
    reached('first claim', { value: ours.claimFirst }, 107_000, 'gas'),
    reached('repeat claim', { value: ours.claimRepeat }, 73_000, 'gas'),
    {
      ...reached('tree of 1 M leaves', large(tree.buildSeconds), 1, 's'),
      peer: extrapolated,
    },
    reached('tree of 1 M leaves, memory of the process', large(tree.peakMb), 250, 'MB'),
    reached('10,000 of 1 M payees changed', large(tree.update10000Seconds * 1000), 60, 'ms'),
    reached(
      'close of an epoch with 100,000 receipts, CPU of the process',
      values.quick
        ? { value: null, why: `--quick closes ${receipts} receipts, not ${RECEIPTS}` }
        : { value: close.cpuSeconds },
      20,
      's',
    ),
  ],
}
process.stdout.write(`${JSON.stringify(result)}\n`)
