import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { closeEpoch } from '../../../functions/settlement/epoch/close-epoch.ts'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import type { LogObject } from '../../../functions/settlement/epoch/receipt-log.ts'
import { EpochRefused } from '../../../functions/settlement/epoch/refusal.ts'

interface Options {
  receipts: string
  out: string
  root: string | undefined
  previous: string | undefined
}

/** Recomputes an epoch from files; writes all of the outcome or nothing (a staging folder beside `out` is renamed in). */
export const recompute = async ({ receipts, out, root, previous }: Options) => {
  const started = performance.now()
  const folder = isFolder(receipts) ? receipts : dirname(receipts)
  const names = isFolder(receipts)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.jsonl'))
        .sort()
    : [basename(receipts)]
  const inputs = join(folder, 'epoch-inputs.json')
  if (!existsSync(inputs)) throw new EpochRefused('inputs-missing', `there is no ${inputs}`)
  const balances = previous ?? join(folder, 'previous-balances.bin')
  if (previous !== undefined && !existsSync(previous))
    throw new EpochRefused('inputs-missing', `there is no ${previous}`)
  process.stderr.write(`reading ${names.length} log file(s) of ${folder}\n`)
  const { epoch, files } = await closeEpoch(
    {
      inputs: readFileSync(inputs),
      previousBalances: existsSync(balances) ? readFileSync(balances) : new Uint8Array(),
      objects: objects(folder, names),
    },
    await loadKeccak(),
  )
  write(out, files)
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3))
  const matches = root === undefined ? undefined : epoch.root === root
  if (matches === false) process.stderr.write(`the root is ${epoch.root}, not ${root}\n`)
  const { files: _, unassigned, unassignedSpent, format: __, ...summary } = epoch
  return {
    ok: matches !== false,
    result: { ...summary, unassigned: unassigned.length, expectedRoot: root, matches, seconds },
  }
}

function* objects(folder: string, names: string[]): Generator<LogObject> {
  for (const name of names) yield { name, bytes: readFileSync(join(folder, name)) }
}

const isFolder = (path: string): boolean => {
  if (!existsSync(path)) throw new EpochRefused('inputs-missing', `there is no ${path}`)
  return statSync(path).isDirectory()
}

const write = (out: string, files: ReadonlyMap<string, Uint8Array>): void => {
  const staging = `${out.replace(/\/+$/, '')}.partial-${process.pid}`
  try {
    for (const [name, bytes] of files) {
      mkdirSync(dirname(join(staging, name)), { recursive: true })
      writeFileSync(join(staging, name), bytes)
    }
    for (const name of files.keys()) {
      mkdirSync(dirname(join(out, name)), { recursive: true })
      renameSync(join(staging, name), join(out, name))
    }
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}
