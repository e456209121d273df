/** `npm run attack-lab`: what each attack on the payout rule brings, ours beside DataInf and TF-IDF. */
import { parseArgs } from 'node:util'
import { runLaboratory } from './attack-lab/laboratory.ts'
import { reachOf } from './attack-lab/reach.ts'
import { measureWeighting } from './attack-lab/retraining.ts'

const HELP = `Usage: npm run attack-lab [-- --seed N] [--quick] [--corpora DIR] [--weighting]

Registers hostile rows or buys hostile traffic in a small world of real texts, and pays it by three rules: ours (evidence
clusters, provenance spans, signed influence, epoch calculator: the platform's own code), DataInf and TF-IDF (every row
scored, positive scores share the pool). A small LoRA language model gives real gradients; ours scores with a damped
Fisher in place of the influence image's EK-FAC.

--seed N      draws texts and forgeries (default 1)
--quick       fewer contributors and rows
--corpora DIR contributors' texts from the *.txt files of DIR instead of licence texts
--weighting   instead of attacks: how far the contributors' shares are from those that retraining gives, with our
              weighting by fee and receipt and without it (total variation distance: 0 same, 1 disjoint)

inflation        attacker's pay after / before; for traffic that it pays itself: money returned / money paid
honestLoss       part of the honest contributors' pay that is gone
provenanceTaken  part of the honest contributors' provenance pay that is gone (ours)
Last line: {"name","seed","quick","attacks":[{"attack","kind","ours","datainf","tfidf","goal","met"}],
"reach":[{"figure","value","goal","unit","met"}]}, or {"name","seed","quick","weighting"}
`

const usage = (message: string): never => {
  process.stderr.write(`${message}\n\n${HELP}`)
  process.exit(2)
}

const options = () => {
  try {
    return parseArgs({
      options: {
        seed: { type: 'string', default: '1' },
        quick: { type: 'boolean', default: false },
        corpora: { type: 'string' },
        weighting: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    return usage((error as Error).message)
  }
}

const { seed, quick, corpora, weighting, help } = options()
if (help) {
  process.stdout.write(HELP)
  process.exit(0)
}
if (!/^\d{1,9}$/.test(seed)) usage('--seed must be a whole number')
const attackAll = async () => {
  const attacks = await runLaboratory({
    seed: Number(seed),
    quick,
    corpora,
    progress: (message) => process.stderr.write(`${message}\n`),
  })
  const row = (name: string, cells: readonly (string | number)[]) =>
    process.stdout.write(`${name.padEnd(70)}${cells.map((cell) => String(cell).padStart(9)).join('')}\n`)
  row('', ['attacker', 'gets', '', 'honest', 'lose', ''])
  row('attack', ['ours', 'datainf', 'tfidf', 'ours', 'datainf', 'tfidf'])
  for (const { attack, ours, datainf, tfidf } of attacks)
    row(
      attack,
      [ours, datainf, tfidf]
        .map(({ inflation }) => inflation)
        .concat([ours, datainf, tfidf].map(({ honestLoss }) => honestLoss)),
    )
  const reach = reachOf(attacks)
  for (const { figure, value, goal, met } of reach)
    row(figure, [value ?? '-', ` goal ${goal}`, met ? 'met' : 'not met'])
  return { attacks, reach }
}
const weigh = () => {
  const found = measureWeighting(Number(seed), quick, corpora)
  for (const [scorer, errors] of Object.entries(found.errors))
    process.stdout.write(
      `${scorer.padEnd(14)}${Object.entries(errors)
        .map(([rule, error]) => `${rule} ${error}`)
        .join('   ')}\n`,
    )
  process.stdout.write(`equal shares  ${found.equalShares}\n`)
  return { weighting: found }
}

try {
  const found = weighting ? weigh() : await attackAll()
  process.stdout.write(`${JSON.stringify({ name: 'attack-lab', seed: Number(seed), quick, ...found })}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.stdout.write(`${JSON.stringify({ error: { detail: (error as Error).message } })}\n`)
  process.exitCode = 1
}
