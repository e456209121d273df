/** `npm run attack-lab`: what each attack on the payout rule brings, ours beside DataInf and TF-IDF. */
import { parseArgs } from 'node:util'
import { runLaboratory } from './attack-lab/laboratory.ts'

const HELP = `Usage: npm run attack-lab [-- --seed N] [--quick] [--corpora DIR]

Registers hostile rows or buys hostile traffic in a small world of real texts, and pays it by three rules: ours (evidence
clusters, provenance spans, signed influence, epoch calculator: the platform's own code), DataInf and TF-IDF (every row
scored, positive scores share the pool). A small LoRA language model gives real gradients; ours scores with a damped
Fisher in place of the influence image's EK-FAC.

--seed N      draws texts and forgeries (default 1)
--quick       fewer contributors and rows
--corpora DIR contributors' texts from the *.txt files of DIR instead of licence texts

inflation        attacker's pay after / before; for traffic that it pays itself: money returned / money paid
honestLoss       part of the honest contributors' pay that is gone
provenanceTaken  part of the honest contributors' provenance pay that is gone (ours)
Last line: {"name","seed","quick","attacks":[{"attack","kind","ours","datainf","tfidf","goal","met"}]}
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
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    return usage((error as Error).message)
  }
}

const { seed, quick, corpora, help } = options()
if (help) {
  process.stdout.write(HELP)
  process.exit(0)
}
if (!/^\d{1,9}$/.test(seed)) usage('--seed must be a whole number')
try {
  const attacks = await runLaboratory({
    seed: Number(seed),
    quick,
    corpora,
    progress: (message) => process.stderr.write(`${message}\n`),
  })
  const column = (value: number) => String(value).padStart(9)
  process.stdout.write(`${'attack'.padEnd(70)}     ours   datainf    tfidf   honest loss (ours)\n`)
  for (const { attack, ours, datainf, tfidf } of attacks)
    process.stdout.write(
      `${attack.padEnd(70)}${column(ours.inflation)} ${column(datainf.inflation)}${column(tfidf.inflation)}${column(ours.honestLoss)}\n`,
    )
  process.stdout.write(`${JSON.stringify({ name: 'attack-lab', seed: Number(seed), quick, attacks })}\n`)
  if (attacks.some(({ met }) => met === false)) process.stderr.write('some goals of the design are not met\n')
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.stdout.write(`${JSON.stringify({ error: { detail: (error as Error).message } })}\n`)
  process.exitCode = 1
}
