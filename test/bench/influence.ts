import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { refuse, runPython } from '../../local/commands/python-command.ts'
import { images, repository } from '../../local/paths.ts'

/** `npm run bench:influence [-- --quick --seed N --corpora DIR]`: scores against retraining, ours beside its peers. */
const HELP = `usage: npm run bench:influence [-- --quick] [--seed N] [--corpora DIR] [--cores N]

Two draws of 12 contributors' rows and held-out queries on a small model: LDS against half-subset retrainings,
leave-one-contributor-out, near-duplicates, cost; ours beside DataInf, TF-IDF, kronfluence and bergson.
--quick          smaller draws, about three minutes on two quiet cores; in full 15 to 25
--corpora DIR    fifteen or more *.txt files as contributors' sources
Base model, retrainings and the peers' environment are kept in .openledger-bench/.
`

const options = (() => {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        corpora: { type: 'string' },
        cores: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    return refuse((error as Error).message, HELP)
  }
})()
if (options.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
if (!/^\d{1,6}$/.test(options.seed)) refuse('--seed takes a number of up to six digits', HELP)
if (options.cores !== undefined && !/^[1-9]\d?$/.test(options.cores)) refuse('--cores takes a number', HELP)

const folder = join(images, 'influence')
await runPython({
  module: 'influence_bench',
  args: [
    ...(options.quick ? ['--quick'] : []),
    ...['--seed', options.seed, '--cache', join(repository, '.openledger-bench', 'influence')],
    ...(options.corpora === undefined ? [] : ['--corpora', options.corpora]),
    ...(options.cores === undefined ? [] : ['--cores', options.cores]),
  ],
  env: {
    PYTHONPATH: [join(folder, 'bench'), join(folder, 'src')].join(':'),
    OMP_NUM_THREADS: '1',
    HF_HUB_OFFLINE: '1',
    TQDM_DISABLE: '1',
    TRANSFORMERS_VERBOSITY: 'error',
  },
})
