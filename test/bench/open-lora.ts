import { spawn } from 'node:child_process'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { images, venvPython } from '../../local/paths.ts'
import { createProgress } from '../../local/setup/progress.ts'
import { ensureSetup } from '../../local/setup/setup.ts'

/** `npm run bench:open-lora [-- --quick --seed N --device cuda]`: OpenLoRA beside the base model and stock PEFT. */
const HELP = `bench:open-lora [--quick] [--seed N] [--device cpu|cuda] [--parts a,b]
Decoding against the base and PEFT, slot loads, a server under load, Zipf traffic with a killed replica.
Parts: throughput, loading, serving, zipf (default: all).\n`
const PARTS = ['throughput', 'loading', 'serving', 'zipf'] as const
type Part = (typeof PARTS)[number]
// biome-ignore lint/suspicious/noExplicitAny: the figures of the Python parts, by name
type Figures = Record<string, any>

const refuse = (why: string): never => {
  process.stderr.write(`${why}\n\n${HELP}`)
  process.exit(2)
}

const options = (() => {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        device: { type: 'string', default: 'cpu' },
        parts: { type: 'string', default: PARTS.join(',') },
        help: { type: 'boolean', default: false },
      },
    })
    return values
  } catch (error) {
    return refuse((error as Error).message)
  }
})()
if (options.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
if (!/^\d{1,9}$/.test(options.seed)) refuse('--seed takes a number')
if (!['cpu', 'cuda'].includes(options.device)) refuse('--device takes cpu or cuda')
const parts = options.parts.split(',') as Part[]
if (!parts.every((part) => PARTS.includes(part))) refuse(`--parts takes ${PARTS.join(', ')}`)

const run = (part: Part): Promise<Figures> =>
  new Promise((resolve, reject) => {
    const folder = join(images, 'open-lora')
    const args = ['bench', '--part', part, '--seed', options.seed, '--device', options.device]
    const child = spawn(venvPython, options.quick ? [...args, '--quick'] : args, {
      cwd: folder,
      env: {
        ...process.env,
        PYTHONPATH: join(folder, 'src'),
        OMP_NUM_THREADS: '1',
        THP_MEM_ALLOC_ENABLE: '1', // as serve.py sets it; base and peers have it too
        HF_HUB_OFFLINE: '1',
        TQDM_DISABLE: '1',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', (data) => {
      out += data
    })
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0
        ? resolve(JSON.parse(out.trim().split('\n').at(-1)!))
        : code === 2
          ? process.exit(2) // it has said why
          : reject(new Error(`${part} ended with code ${code}`)),
    )
  })

const reach = (figures: Partial<Record<Part, Figures>>) => {
  const { throughput, loading, serving, zipf } = figures
  const entry = (
    figure: string,
    value: number | undefined,
    goal: string,
    unit: string,
    met: boolean,
    peer?: unknown,
  ) =>
    value === undefined
      ? { figure, value: null, goal, unit, met: false, why: 'this part was left out by --parts' }
      : { figure, value, goal, unit, met, ...(peer === undefined ? {} : { peer }) }
  const base = throughput?.['over base']
  const peft = throughput?.['over PEFT mixed batch']
  const load = loading?.['warm slot load p99']
  const fair = serving?.['p95 ratio']
  const front = serving?.['front and scheduler over model, CPU']
  const scale =
    zipf && `${zipf['registered']} registered, ${zipf['resident budget']} resident, ${zipf['requests']} requests`
  return [
    entry('every request another adapter, over base', base, '>= 0.85', 'ratio', base >= 0.85, throughput?.['base']),
    entry(
      'over PEFT mixed batch',
      peft,
      '>= 2',
      'ratio',
      peft >= 2,
      throughput?.['peft']['batch 16, r8']['mixed batch'],
    ),
    entry('warm slot load p99', load, '<= 3', loading?.['unit'], load <= 3, loading?.['PEFT add_adapter p50']),
    entry("one adapter at 100 x: the others' p95", fair, '<= 1.5', 'ratio', fair <= 1.5),
    entry('front and scheduler beside the model', front, '<= 0.05', 'ratio of CPU time', front <= 0.05),
    entry(`wrong answers (${scale})`, zipf?.['wrong answers'], '0', 'answers', zipf?.['wrong answers'] === 0),
    entry('requests lost, one replica killed', zipf?.['lost requests'], '0', 'requests', zipf?.['lost requests'] === 0),
    entry(
      'growth of memory after warm-up',
      zipf?.['memory growth after warm-up'],
      '< 0.02',
      'ratio',
      zipf?.['memory growth after warm-up'] < 0.02,
    ),
  ]
}

await ensureSetup({ python: true, progress: createProgress() })
const figures: Partial<Record<Part, Figures>> = {}
for (const part of parts) figures[part] = await run(part)
const { throughput, loading } = figures
const cpu = cpus()
process.stdout.write(
  `${JSON.stringify({
    name: 'open-lora',
    seed: Number(options.seed),
    quick: options.quick,
    machine: { cpu: cpu[0]?.model ?? 'unknown', cores: cpu.length, gpu: options.device === 'cuda' },
    ours: { ...figures, ...(throughput ? { throughput: { ...throughput, peft: undefined } } : {}) },
    peers: {
      [`peft ${figures[parts[0]!]!['peft version']}`]: {
        ...throughput?.['peft'],
        'add_adapter ms per MB': loading?.['PEFT add_adapter p50'],
      },
    },
    reach: reach(figures),
  })}\n`,
)
